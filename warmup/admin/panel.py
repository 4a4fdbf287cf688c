"""Warm-up on the mailbox's page: where it stands, and how it comes back (SPEC A4, W3, X5)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from mailboxes.admin.badges import list_url, page_url
from mailboxes.models import Mailbox
from mailboxes.panels import Panel, register
from mailboxes.states import Status
from warmup.admin.members import received_today
from warmup.choosing import today
from warmup.models import PoolMember
from warmup.numbers import Numbers, numbers
from warmup.ramp import pace

NO_TIME = timedelta(0)


@register
def panel(mailbox: Mailbox) -> Panel:
    """Each pool that it is in: whether it exchanges mail now, today's numbers, and the last seven days."""
    now = timezone.now()
    members = list(PoolMember.objects.filter(mailbox=mailbox).select_related("pool", "mailbox").order_by("pool_id"))
    peers = set(PoolMember.objects.peers(now).filter(mailbox=mailbox).values_list("pk", flat=True))
    sent, week = today(members, now), numbers(members, now)
    lines = [line for one in members for line in _lines(one, one.pk in peers, sent[one.pk], week[one.pk])]
    share = _share(mailbox, now) if any(one.active for one in members) else None
    if share is not None and share < 1:
        lines.append((f"Comes back at {share * 100:.0f} % and climbs over 7 days", ""))
    return Panel("Warm-up", lines, "In no pool.", _resumes(share))


def _lines(member: PoolMember, is_peer: bool, sent: tuple[int, int], week: Numbers) -> list[tuple[str, str]]:
    place = (f"{member.pool.name}: {_standing(member, is_peer)}", page_url(member.pool))
    if not member.active:
        return [place]
    exchanges = list_url("warmup_exchange", sender__mailbox__id__exact=member.mailbox_id)
    received = received_today(member, timezone.now())
    lines = [place, (f"Today: {sent[0]} of {sent[1]} sent, {received} received", page_url(member))]
    if week.inbox_percent is not None:
        words = f"Last 7 days: {week.inbox_percent} % of {week.inbox + week.junk} found in the inbox, not in junk"
        lines.append((words, exchanges))
    return lines


def _standing(member: PoolMember, is_peer: bool) -> str:
    if not member.active:
        return "taken out by a person"
    return "exchanges warm-up mail" if is_peer else "out of the peer pool now"


def _share(mailbox: Mailbox, now: datetime) -> float | None:
    """The pace at which it would come back now, by how long it has been out; None while it works."""
    if mailbox.status == Status.CONNECTED:
        return None
    left = mailbox.status_changes.filter(from_status=Status.CONNECTED).order_by("-number")
    at = left.values_list("at", flat=True).first()
    return pace(now - at, NO_TIME) if at is not None else None


def _resumes(share: float | None) -> str:
    if share is None:
        return ""
    return "warm-up goes on at its old pace" if share == 1 else f"warm-up returns at {share * 100:.0f} %"
