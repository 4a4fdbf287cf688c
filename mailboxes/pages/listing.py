"""The first page: a workspace's mailboxes with badges, the filter, the banner, and what happened meanwhile (U1, U6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from mailboxes.health.explaining import Explanation, explain
from mailboxes.models import Mailbox, Membership, ReconnectRequest, StatusChange, Workspace
from mailboxes.ownership.standing import Unconfirmed, load_unconfirmed
from mailboxes.pages.access import current_workspace, person, private, workspaces_of
from mailboxes.pages.client import words_of
from mailboxes.states import Status
from mailboxes.wording import ago, cause_words

PAGE = 50
A_VISIT = timedelta(minutes=30)
FARTHEST = timedelta(days=30)
SHOWN = 6
_ASKED_FOR = Exists(ReconnectRequest.objects.filter(mailbox=OuterRef("pk"), answered_at__isnull=True))


@private
def home(request: HttpRequest) -> HttpResponse:
    """Members to their mailboxes, staff to the admin."""
    if person(request).is_staff and not workspaces_of(person(request)).exists():
        return redirect("admin:index")
    return redirect("mailboxes")


@private
def mailboxes(request: HttpRequest) -> HttpResponse:
    """The list."""
    if person(request).is_staff and not workspaces_of(person(request)).exists():
        return redirect("admin:index")
    workspace, now = current_workspace(request), timezone.now()
    needs, words = request.GET.get("needs") == "reconnect", words_of(request)
    all_of_it = Mailbox.objects.present().filter(workspace=workspace)
    rows = all_of_it.filter(Q(needs_reconnect=True) | Q(_ASKED_FOR)) if needs else all_of_it
    if words:
        rows = rows.filter(address__iendswith=words) if words.startswith("@") else rows.filter(address__icontains=words)
    ordered = rows.select_related("check_state").order_by("-needs_reconnect", "address")
    page = Paginator(ordered, PAGE).get_page(request.GET.get("page"))
    asked_for = set(
        ReconnectRequest.objects.filter(mailbox__in=[box.pk for box in page], answered_at__isnull=True).values_list(
            "mailbox_id", flat=True
        )
    )
    explained = explain(list(page))
    waits = load_unconfirmed([box.pk for box in page], now)
    context = {
        "workspace": workspace,
        "workspaces": workspaces_of(person(request)),
        "page": page,
        "rows": [(box, _line(box, box.pk in asked_for, explained.get(box.pk), waits.get(box.pk), now)) for box in page],
        "incidents": sorted({(one.since, one.sentence) for one in explained.values()}),
        "needs": needs,
        "words": words,
        "banner": _banner(workspace),
        "away": _away(request, workspace, now),
    }
    return render(request, "pages/mailboxes.html", context)


def _line(
    mailbox: Mailbox,
    is_asked_for: bool,
    explained: Explanation | None,
    unconfirmed: Unconfirmed | None,
    now: datetime,
) -> str:
    """What stands below an address."""
    if explained is not None:
        return explained.sentence
    state = getattr(mailbox, "check_state", None)
    checked = state.last_check_at if state else None
    parts = [
        "Support asks you to reconnect it" if is_asked_for else "",
        "Paused by support" if mailbox.held_since else "",
        unconfirmed.label if unconfirmed else "",
        cause_words(mailbox.category) if mailbox.category else "",
        f"since {ago(mailbox.status_since, now)}" if mailbox.category else "",
        "" if mailbox.category else f"checked {ago(checked, now)} ago" if checked else "not checked yet",
    ]
    return " · ".join(part for part in parts if part).replace("now ago", "just now").replace("since now", "just now")


@dataclass(frozen=True, slots=True)
class Banner:
    """The numbers at the top: reconnects needed, settings to be checked, and what support asks for."""

    reconnect: int
    settings: int
    requests: list[ReconnectRequest]


def _banner(workspace: Workspace) -> Banner:
    mine = Mailbox.objects.present().filter(workspace=workspace)
    requests = ReconnectRequest.objects.filter(mailbox__workspace=workspace, answered_at__isnull=True)
    return Banner(
        reconnect=mine.needing_reconnect().count(),
        settings=mine.needing_settings().count(),
        requests=list(requests.select_related("mailbox").order_by("-asked_at")[:SHOWN]),
    )


@dataclass(frozen=True, slots=True)
class Away:
    """What happened since the visit before this one."""

    since: datetime
    stopped: list[str]
    resumed: list[str]


def _away(request: HttpRequest, workspace: Workspace, now: datetime) -> Away | None:
    """None at the first visit, and where nothing happened."""
    last = _visit(Membership.objects.get(user=person(request), workspace=workspace), now)
    if last is None:
        return None
    since = max(last, now - FARTHEST)
    changes = StatusChange.objects.filter(mailbox__workspace=workspace, mailbox__removed_at__isnull=True, at__gt=since)
    rows = changes.order_by("-at").values_list("mailbox__address", "from_status", "to_status")[:500]
    latest: dict[str, tuple[str, str]] = {}
    for address, before, after in rows:
        latest[address] = (before, latest.get(address, (before, after))[1])
    worked = {Status.CONNECTED.value}
    broken = {Status.NEEDS_REAUTH.value, Status.ERROR.value}
    stopped = sorted(address for address, (before, after) in latest.items() if before in worked and after in broken)
    resumed = sorted(address for address, (before, after) in latest.items() if before in broken and after in worked)
    return Away(since, stopped, resumed) if stopped or resumed else None


def _visit(membership: Membership, now: datetime) -> datetime | None:
    """The end of the visit before; half an hour without a page ends a visit."""
    last = membership.visited_at
    if last is None or now - last > A_VISIT:
        membership.visited_before, membership.visited_at = last, now
        membership.save(update_fields=["visited_before", "visited_at"])
    elif now - last > timedelta(minutes=1):
        membership.visited_at = now
        membership.save(update_fields=["visited_at"])
    return membership.visited_before
