"""The list of a workspace's campaigns."""

from __future__ import annotations

from collections.abc import Collection

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from campaigns.held import held
from campaigns.models import Campaign
from campaigns.numbers import numbers
from campaigns.pages.words import badge
from mailboxes.models import Mailbox
from mailboxes.pages.access import current_workspace, person, private, workspaces_of

PAGE = 50


@private
def campaigns(request: HttpRequest) -> HttpResponse:
    """The list."""
    workspace = current_workspace(request)
    mine = Campaign.objects.filter(workspace=workspace).select_related("changed_by").order_by("name")
    page = Paginator(mine, PAGE).get_page(request.GET.get("page"))
    shown = list(page)
    stopped, counted, senders = held(shown), numbers(shown), _mailboxes([one.pk for one in shown])
    user = person(request)
    rows = [
        {
            "campaign": one,
            "held": stopped.get(one.pk),
            "badge": badge(one, stopped.get(one.pk), user),
            "numbers": counted[one.pk],
            "mailboxes": senders.get(one.pk, (0, 0)),
        }
        for one in shown
    ]
    context = {"workspace": workspace, "workspaces": workspaces_of(user), "page": page, "rows": rows}
    return render(request, "pages/campaigns.html", context)


def _mailboxes(campaign_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """By campaign: the mailboxes that work, and all of them, in one query."""
    rows = Mailbox.objects.present().filter(campaigns__in=campaign_ids).order_by().values("campaigns")
    works = Count("pk", filter=Q(wants_smtp=True, pk__in=Mailbox.objects.working()))
    counted = rows.annotate(works=works, all=Count("pk")).values_list("campaigns", "works", "all")
    return {key: (works, total) for key, works, total in counted}
