"""The customers' page of warm-up: which mailboxes take part, how far they are, and where their mail was found (W1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailboxes.models import Mailbox, OutMessage, Workspace
from mailboxes.pages.access import current_workspace, mailbox_for, person, private, workspaces_of
from mailboxes.pages.client import number
from mailboxes.pages.standing import why_it_waits
from mailboxes.rights import Deed
from warmup import changes
from warmup.choosing import today
from warmup.models import Exchange, Pool, PoolMember
from warmup.numbers import Numbers, numbers

PAGE = 50
LATEST = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A member as the page shows it. `why_not` says why it exchanges no mail at this moment."""

    member: PoolMember
    is_peer: bool
    why_not: str
    sent: int
    allowed: int
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Seen:
    """One message, from this workspace's side."""

    at: datetime
    mailbox: str
    is_sent: bool
    what: str
    colour: str


@private
def warm_up(request: HttpRequest) -> HttpResponse:
    """The page."""
    workspace, now = current_workspace(request), timezone.now()
    mine = PoolMember.objects.filter(mailbox__workspace=workspace, mailbox__removed_at__isnull=True)
    ordered = mine.select_related("mailbox", "pool").order_by("-active", "mailbox__address", "pk")
    page = Paginator(ordered, PAGE).get_page(request.GET.get("page"))
    context = {
        "workspace": workspace,
        "workspaces": workspaces_of(person(request)),
        "page": page,
        "rows": _rows(list(page), now),
        "latest": _latest(workspace),
        "pools": Pool.objects.all(),
        "outside": _outside(workspace),
    }
    return render(request, "pages/warm_up.html", context)


def _rows(members: list[PoolMember], now: datetime) -> list[Row]:
    """A constant number of queries for any number of members."""
    peers = set(PoolMember.objects.peers(now).filter(pk__in=[one.pk for one in members]).values_list("pk", flat=True))
    days, counted = today(members, now), numbers(members, now)
    return [
        Row(one, one.pk in peers, "" if one.pk in peers else _why_not(one, now), *days[one.pk], counted[one.pk])
        for one in members
    ]


def _why_not(member: PoolMember, now: datetime) -> str:
    if not member.active:
        return "Taken out of the pool."
    if not member.mailbox.wants_imap:
        return "It is set up to send only; warm-up mail must be read, too."
    return f"Out of the pool now: {why_it_waits(member.mailbox, now)}."


def _outside(workspace: Workspace) -> list[Mailbox]:
    """The mailboxes that could join a pool."""
    inside = Exists(PoolMember.objects.filter(mailbox=OuterRef("pk"), active=True))
    both = Mailbox.objects.present().filter(~inside, workspace=workspace, wants_smtp=True, wants_imap=True)
    return list(both.order_by("address"))


def _latest(workspace: Workspace) -> list[Seen]:
    """The latest messages to and from this workspace. Of the other side nothing is told but that there is one (S5)."""
    ours = Q(sender__mailbox__workspace=workspace) | Q(receiver__mailbox__workspace=workspace)
    related = ("out", "sender__mailbox", "receiver__mailbox")
    rows: Iterable[Exchange] = Exchange.objects.filter(ours).select_related(*related)[:LATEST]
    return [_seen(one, workspace) for one in rows]


def _seen(one: Exchange, workspace: Workspace) -> Seen:
    is_sent = one.sender.mailbox.workspace_id == workspace.pk
    mailbox = one.sender.mailbox if is_sent else one.receiver.mailbox
    what, colour = _became(one)
    return Seen(one.out.sent_at or one.made_at, mailbox.address, is_sent, what, colour)


def _became(one: Exchange) -> tuple[str, str]:
    if one.placement == "inbox":
        return ("Inbox, answered" if one.answered else "Inbox"), "green"
    if one.placement == "junk":
        return ("Junk, answered" if one.answered else "Junk"), "orange"
    if one.failed:
        return "Did not arrive", "red"
    return ("Not found yet" if one.out.state == OutMessage.State.SENT else one.out.get_state_display()), "grey"


@private
@require_POST
def join(request: HttpRequest) -> HttpResponse:
    """Put a mailbox into a pool."""
    mailbox = mailbox_for(request, number(request.POST.get("mailbox", "")), Deed.JOIN_POOL)
    pool = get_object_or_404(Pool, pk=number(request.POST.get("pool", "")))
    try:
        changes.join(mailbox, pool, acting_user=person(request), now=timezone.now())
    except changes.CannotJoin as fault:
        messages.error(request, f"{mailbox.address} was not added. {fault}")
    else:
        messages.success(request, f"{mailbox.address} is in “{pool}” now. It begins as soon as it can send and read.")
    return _back(request, mailbox)


@private
@require_POST
def leave(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a mailbox out of its pool."""
    member = PoolMember.objects.select_related("mailbox", "pool").filter(pk=pk).first()
    if member is None:
        raise Http404
    mailbox = mailbox_for(request, member.mailbox_id, Deed.LEAVE_POOL)
    changes.leave(member, acting_user=person(request), now=timezone.now())
    messages.success(request, f"{mailbox.address} is out of “{member.pool}”. Its level is kept for when it is back.")
    return _back(request, mailbox)


def _back(request: HttpRequest, mailbox: Mailbox) -> HttpResponse:
    """To the page; staff, who have no list of their own, to the mailbox's."""
    is_member = workspaces_of(person(request)).exists()
    return redirect("warm-up") if is_member else redirect("mailbox", mailbox.pk)
