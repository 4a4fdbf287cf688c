"""A campaign's page: how it stands, what holds it, its mailboxes, steps and leads; start and pause (SPEC K2, K3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from campaigns import changes, doubtful
from campaigns.held import held
from campaigns.lacking import OPEN, warning
from campaigns.models import Campaign, Lead
from campaigns.numbers import numbers
from campaigns.pages.access import campaign_for
from campaigns.pages.words import badge
from mailboxes.models import Mailbox
from mailboxes.pages.access import acts_as_staff, allowed, person, private
from mailboxes.pages.client import words_of
from mailboxes.pages.standing import why_it_waits
from mailboxes.rights import Deed

PAGE = 50
MOST_MAILBOXES = 200
COLOURS = {
    "active": "green", "replied": "green", "held": "amber", "bounced": "red", "refused": "red",
    "unsubscribed": "orange",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A lead as the page shows it. `is_next`: it hears from us again when it is due."""

    lead: Lead
    state: str
    colour: str
    is_next: bool = False


@private
def campaign(request: HttpRequest, pk: int) -> HttpResponse:
    """The page."""
    found, now = campaign_for(request, pk, Deed.SEE_CAMPAIGN), timezone.now()
    stopped = held([found]).get(found.pk)
    state, words = request.GET.get("state", ""), words_of(request)
    state = state if state in Lead.State.values else ""
    page = Paginator(_leads(found, state, words), PAGE).get_page(request.GET.get("page"))
    context = {
        "campaign": found,
        "workspace": found.workspace,
        "as_staff": acts_as_staff(request, found.workspace),
        "allowed": allowed(request, found.workspace_id),
        "now": now,
        "held": stopped,
        "badge": badge(found, stopped, person(request)),
        "missing": changes.missing(found) if found.state != Campaign.State.RUNNING else "",
        "holes": warning(found),
        "numbers": numbers([found])[found.pk],
        "mailboxes": _mailboxes(found, now),
        "steps": found.steps.all(),
        "page": page,
        "rows": _rows(found, list(page)),
        "states": Lead.State.choices,
        "state": state,
        "words": words,
        "query": urlencode({key: value for key, value in {"state": state, "q": words}.items() if value}),
    }
    return render(request, "pages/campaign.html", context)


def _mailboxes(found: Campaign, now: datetime) -> list[tuple[Mailbox, str]]:
    """Its mailboxes, each with why it does not send; "" where it can. Those that cannot come first."""
    can = set(Mailbox.objects.can_send(now).filter(campaigns=found).values_list("pk", flat=True))
    mailboxes = found.mailboxes.order_by("address")[:MOST_MAILBOXES]
    rows = [(one, "" if one.pk in can else why_it_waits(one, now)) for one in mailboxes]
    return sorted(rows, key=lambda row: not row[1])


def _leads(found: Campaign, state: str, words: str) -> QuerySet[Lead]:
    rows = found.leads.select_related("home").order_by("place")
    rows = rows.filter(state=state) if state else rows
    return rows.filter(email__icontains=words) if words else rows


def _rows(found: Campaign, leads: Sequence[Lead]) -> list[LeadRow]:
    homes = {one.home_id for one in leads if one.home_id}
    work = set(Mailbox.objects.working().filter(pk__in=homes, wants_smtp=True).values_list("pk", flat=True))
    return [_row(found, one, work) for one in leads]


def _row(found: Campaign, lead: Lead, work: set[int]) -> LeadRow:
    """A conversation whose mailbox is broken waits for it; a lead that lacks a field for a correction."""
    if lead.lacks and lead.state in OPEN:
        return LeadRow(lead, f"Held: {lead.lacks}", "amber")
    begun = lead.state == Lead.State.ACTIVE and found.state != Campaign.State.DRAFT
    if begun and lead.home is not None and lead.home_id not in work:
        return LeadRow(lead, f"waits for {lead.home.address}", "amber")
    is_next = begun and found.state == Campaign.State.RUNNING
    return LeadRow(lead, lead.get_state_display(), COLOURS.get(lead.state, "grey"), is_next)


@private
@require_POST
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Start it, or resume it after a pause."""
    found = campaign_for(request, pk, Deed.WRITE_CAMPAIGN)
    try:
        changes.start(found, acting_user=person(request), now=timezone.now())
    except changes.CannotStart as fault:
        messages.error(request, f"It cannot be started. {fault}")
    else:
        messages.success(request, "It runs. Messages go out in its hours, one after the other.")
    return redirect("campaign", found.pk)


@private
@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """A person's pause."""
    found = campaign_for(request, pk, Deed.WRITE_CAMPAIGN)
    changes.pause(found, acting_user=person(request), now=timezone.now())
    messages.success(request, "It is paused. Nothing more goes out until somebody resumes it.")
    return redirect("campaign", found.pk)


@private
@require_POST
def lead_gone(request: HttpRequest, pk: int, lead: int) -> HttpResponse:
    """The address of a held lead does not exist any more (SPEC M4)."""
    found = _lead(request, pk, lead)
    if doubtful.take_as_gone(found, acting_user=person(request), now=timezone.now()):
        messages.success(request, f"{found.email} is not written to any more.")
    return redirect(f"{reverse('campaign', args=[pk])}#leads")


@private
@require_POST
def lead_goes_on(request: HttpRequest, pk: int, lead: int) -> HttpResponse:
    """The report was wrong: a held lead goes on where it stood (SPEC M4)."""
    found = _lead(request, pk, lead)
    if doubtful.go_on(found, acting_user=person(request), now=timezone.now()):
        messages.success(request, f"The sequence to {found.email} goes on.")
    return redirect(f"{reverse('campaign', args=[pk])}#leads")


def _lead(request: HttpRequest, pk: int, lead: int) -> Lead:
    """A lead of a campaign that the person may act on. Raises Http404 for every other."""
    return get_object_or_404(Lead, pk=lead, campaign=campaign_for(request, pk, Deed.DECIDE_LEAD))
