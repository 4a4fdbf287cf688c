"""Choose what warm-up sends now: a constant number of queries for a pool, whatever its size (W1 to W4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import transaction

from mailboxes.models import OutMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import paces, queue, tempo
from warmup import talk
from warmup.days import Day, day_of, days_of, locked
from warmup.models import Exchange, PoolMember, random_key
from warmup.pairing import pair
from warmup.ramp import next_slot, slots
from warmup.taking import take_back

LATER = timedelta(minutes=10)
SPACING = timedelta(minutes=10)
POOLS_AT_ONCE = 20


@transaction.atomic
def choose(limit: int, now: datetime) -> int:
    """Queue one message for each member whose time has come. Returns how many."""
    take_back(now)
    due = PoolMember.objects.select_for_update(skip_locked=True, of=("self",)).filter(active=True, next_at__lte=now)
    members = list(due.order_by("next_at").select_related("mailbox", "pool")[:limit])
    if not members:
        return 0
    free = set(paces.free(now).filter(id__in=[one.mailbox_id for one in members]).values_list("id", flat=True))
    days = list(days_of(members, now).values())
    ready = [day for day in days if day.member.mailbox_id in free and day.room]
    peers = _pair([day.member for day in ready], now)
    going = [day for day in ready if day.member.pk in peers]
    _write_days(days, {day.member.pk for day in going}, now)
    _send(going, peers, now)
    return len(going)


def is_waiting(now: datetime) -> bool:
    """True where a member's time has come."""
    return PoolMember.objects.filter(active=True, next_at__lte=now).exists()


def today(members: Sequence[PoolMember], now: datetime) -> dict[int, tuple[int, int]]:
    """How many messages each member has sent today, and how many it may: by member, in two queries. Nothing is stored.
    Their pools are loaded with them."""
    return {key: (day.sent, day.allowed) for key, day in days_of(members, now).items()}


def _next_at(day: Day, now: datetime) -> datetime:
    """The day's next time after this one; tomorrow's first where it sends no more today."""
    calendar = tempo.calendar(now)
    slot = next_slot(slots(day.allowed, day.member.pk, calendar), calendar)
    if slot is None or day.room <= 1:
        slot = slots(day.allowed, day.member.pk, calendar + timedelta(days=1))[0]
    return tempo.real(slot)


def _pair(members: Sequence[PoolMember], now: datetime) -> dict[int, PoolMember]:
    found: dict[int, PoolMember] = {}
    ordered = sorted(members, key=lambda one: one.pool_id)
    for _pool_id, group in groupby(ordered, key=lambda one: one.pool_id):
        senders = list(group)
        found |= pair(senders[0].pool, senders, now)
    return found


def _write_days(days: Sequence[Day], going: set[int], now: datetime) -> None:
    """Those who send, or have sent enough, wait for their next time; the others are looked at again soon."""
    later = now + tempo.lasting(LATER)
    rows: list[dict[str, Any]] = []
    for day in days:
        sends = day.member.pk in going
        rows.append(day.row(sent=int(sends)) | {"next_at": _next_at(day, now) if sends or not day.room else later})
    update_rows(PoolMember, rows)


def _send(days: Sequence[Day], peers: dict[int, PoolMember], now: datetime) -> None:
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
    """So many more for those who are written to; their place in the order is drawn anew."""
    counts = Counter(peer.pk for peer in peers)
    days = [day_of(one, (), now) for one in locked(counts)]
    update_rows(PoolMember, [day.row(received=counts[day.member.pk]) | {"key": random_key()} for day in days])


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
