"""Choose what warm-up sends now: a constant number of queries for a pool, whatever its size (W1 to W4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery

from mailboxes.models import Mailbox, OutMessage, StatusChange
from mailboxes.models.sets import update_rows
from mailboxes.outbox import paces, queue, tempo
from mailboxes.states import Status
from warmup import talk
from warmup.models import Exchange, PoolMember, random_key
from warmup.pairing import pair
from warmup.ramp import next_slot, pace, quota, slots
from warmup.taking import take_back

LATER = timedelta(minutes=10)
SPACING = timedelta(minutes=10)
POOLS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class _Day:
    """A member's day: its plan, what has gone out, and when the next message is due."""

    member: PoolMember
    allowed: int
    sent: int
    received: int
    days_sent: int
    next_at: datetime

    @property
    def is_over(self) -> bool:
        return self.sent >= self.allowed


@transaction.atomic
def choose(limit: int, now: datetime) -> int:
    """Queue one message for each member whose time has come. Returns how many."""
    take_back(now)
    due = PoolMember.objects.select_for_update(skip_locked=True, of=("self",)).filter(active=True, next_at__lte=now)
    members = list(due.order_by("next_at").select_related("mailbox", "pool")[:limit])
    if not members:
        return 0
    free = set(paces.free(now).filter(id__in=[one.mailbox_id for one in members]).values_list("id", flat=True))
    gaps = _gaps([one.mailbox_id for one in members])
    days = [_day(one, gaps.get(one.mailbox_id), now) for one in members]
    ready = [day for day in days if day.member.mailbox_id in free and not day.is_over]
    peers = _pair([day.member for day in ready], now)
    going = [day for day in ready if day.member.pk in peers]
    _write_days(days, {day.member.pk for day in going}, free, now)
    _send(going, peers, now)
    return len(going)


def is_waiting(now: datetime) -> bool:
    """True where a member's time has come."""
    return PoolMember.objects.filter(active=True, next_at__lte=now).exists()


def today(members: Sequence[PoolMember], now: datetime) -> dict[int, tuple[int, int]]:
    """How many messages each member has sent today, and how many it may: by member, in one query. Nothing is stored.
    Their pools are loaded with them."""
    gaps = _gaps([one.mailbox_id for one in members])
    days = [_day(one, gaps.get(one.mailbox_id), now) for one in members]
    return {day.member.pk: (day.sent, day.allowed) for day in days}


def _gaps(mailbox_ids: Sequence[int]) -> dict[int, tuple[datetime, datetime]]:
    """When each mailbox last left work and came back, by its status changes."""
    changes = StatusChange.objects.filter(mailbox=OuterRef("pk"))
    back = changes.filter(to_status=Status.CONNECTED).order_by("-number")
    left = changes.filter(from_status=Status.CONNECTED).order_by("-number")
    rows = Mailbox.objects.filter(id__in=mailbox_ids).annotate(
        left_at=Subquery(left.values("at")[:1]), back_at=Subquery(back.values("at")[:1])
    )
    found = rows.filter(left_at__isnull=False, back_at__isnull=False).values_list("id", "left_at", "back_at")
    return {key: (left_at, back_at) for key, left_at, back_at in found if back_at > left_at}


def _day(member: PoolMember, gap: tuple[datetime, datetime] | None, now: datetime) -> _Day:
    """Where the member stands today; a new day begins its numbers anew."""
    calendar = tempo.calendar(now)
    same = member.day == calendar.date()
    days_sent = member.days_sent + (0 if same else int(member.sent_today > 0))
    share = pace(gap[1] - gap[0], now - gap[1]) if gap else 1.0
    allowed = quota(member.pool.ramp.level(days_sent), share)
    sent = member.sent_today if same else 0
    slot = next_slot(slots(allowed, member.pk, calendar), calendar)
    if slot is None or sent + 1 >= allowed:
        slot = slots(allowed, member.pk, calendar + timedelta(days=1))[0]
    return _Day(member, allowed, sent, member.received_today if same else 0, days_sent, tempo.real(slot))


def _pair(members: Sequence[PoolMember], now: datetime) -> dict[int, PoolMember]:
    found: dict[int, PoolMember] = {}
    today = tempo.calendar(now).date()
    ordered = sorted(members, key=lambda one: one.pool_id)
    for _pool_id, group in groupby(ordered, key=lambda one: one.pool_id):
        senders = list(group)
        found |= pair(senders[0].pool, senders, now, today)
    return found


def _write_days(days: Sequence[_Day], going: set[int], free: set[int], now: datetime) -> None:
    """Those who send, or have sent enough, wait for their next time; the others are looked at again soon."""
    later = now + tempo.lasting(LATER)
    today = tempo.calendar(now).date().isoformat()
    rows: list[dict[str, Any]] = []
    for day in days:
        sends = day.member.pk in going
        rows.append(
            {
                "pk": day.member.pk,
                "next_at": day.next_at if sends or day.is_over else later,
                "day": today,
                "days_sent": day.days_sent,
                "sent_today": day.sent + sends,
                "received_today": day.received,
            }
        )
    update_rows(PoolMember, rows)


def _send(days: Sequence[_Day], peers: dict[int, PoolMember], now: datetime) -> None:
    drafts = [(day.member, peers[day.member.pk], _draft(day.member, peers[day.member.pk], now)) for day in days]
    fit = [one for one in drafts if not queue.fault(one[2], now)]
    pairs = [(sender, peer) for sender, peer, _draft in fit]
    rows = queue.put([draft for _sender, _peer, draft in fit], now)
    Exchange.objects.bulk_create(
        [
            Exchange(out=row, sender=sender, receiver=peer, made_at=now)
            for row, (sender, peer) in zip(rows, pairs, strict=True)
        ]
    )
    _count_received([peer for _sender, peer in pairs], now)
    paces.space({sender.mailbox_id: SPACING for sender, _peer in pairs}, now)


def _count_received(peers: Sequence[PoolMember], now: datetime) -> None:
    """One more each for those who are written to; their place in the order is drawn anew."""
    today = tempo.calendar(now).date()
    counts: dict[int, dict[str, Any]] = {}
    stand = {one.pk: one for one in PoolMember.objects.filter(pk__in=[peer.pk for peer in peers])}
    for peer in peers:
        one = stand[peer.pk]
        same = one.day == today
        row = counts.setdefault(
            one.pk,
            {
                "pk": one.pk,
                "key": random_key(),
                "day": today.isoformat(),
                "days_sent": one.days_sent + (0 if same else int(one.sent_today > 0)),
                "sent_today": one.sent_today if same else 0,
                "received_today": one.received_today if same else 0,
            },
        )
        row["received_today"] += 1
    update_rows(PoolMember, list(counts.values()))


def _draft(sender: PoolMember, peer: PoolMember, now: datetime) -> queue.Draft:
    subject, body = talk.opening()
    return queue.Draft(
        mailbox=sender.mailbox,
        peer=peer.mailbox,
        purpose=OutMessage.Purpose.WARMUP,
        recipient=peer.mailbox.address,
        subject=subject,
        body=body,
        due_at=now,
    )
