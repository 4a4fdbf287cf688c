"""A member's day: what it may send and take, and what it has. The one place where the numbers of a day are counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any

from django.db.models import F, OuterRef, Subquery

from mailboxes.models import Mailbox, StatusChange
from mailboxes.models.sets import update_rows
from mailboxes.outbox import tempo
from mailboxes.states import Status
from warmup.models import PoolMember
from warmup.ramp import CLIMB, LONG_GAP, pace, quota

Gap = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Day:
    """A member's numbers of one day, and how many messages it may send on it, answers among them."""

    member: PoolMember
    date: date
    days_sent: int
    sent: int
    received: int
    allowed: int
    week: Mapping[str, Sequence[int]]

    @property
    def room(self) -> int:
        """How many more it may send."""
        return max(0, self.allowed - self.sent)

    @property
    def room_to_receive(self) -> int:
        """How many more it takes: as many in all as it may send today (W4)."""
        return max(0, self.allowed - self.received)

    @property
    def owed(self) -> int:
        """How many more it sent than it received in seven days."""
        before = sum(sent - received for sent, received in self.week.values())
        return before + self.sent - self.received

    def row(self, sent: int = 0, received: int = 0) -> dict[str, Any]:
        """The columns with so many more of each."""
        return {
            "pk": self.member.pk,
            "day": self.date.isoformat(),
            "days_sent": self.days_sent,
            "sent_today": max(0, self.sent + sent),
            "received_today": max(0, self.received + received),
            "week": self.week,
        }


def day_of(member: PoolMember, gaps: Sequence[Gap], now: datetime) -> Day:
    """Where the member stands today; a new day begins its numbers anew. Its pool is loaded with it."""
    today = tempo.calendar(now).date()
    same = member.day == today
    days_sent = member.days_sent + (0 if same else int(member.sent_today > 0))
    share = min((pace(back - left, now - back) for left, back in gaps), default=1.0)
    allowed = quota(member.pool.ramp.level(days_sent), share)
    sent, received = (member.sent_today, member.received_today) if same else (0, 0)
    return Day(member, today, days_sent, sent, received, allowed, _week(member, today))


def _week(member: PoolMember, today: date) -> dict[str, Sequence[int]]:
    """The six days before today that it has numbers of."""
    known: dict[str, Sequence[int]] = dict(member.week)
    if member.day is not None and member.day != today:
        known[member.day.isoformat()] = [member.sent_today, member.received_today]
    oldest = (today - timedelta(days=6)).isoformat()
    return {day: numbers for day, numbers in known.items() if oldest <= day < today.isoformat()}


def days_of(members: Sequence[PoolMember], now: datetime) -> dict[int, Day]:
    """Each member's day by its id, in two queries. Their pools are loaded with them."""
    gaps = _gaps([one.mailbox_id for one in members], now)
    return {one.pk: day_of(one, gaps[one.mailbox_id], now) for one in members}


def _gaps(mailbox_ids: Sequence[int], now: datetime) -> defaultdict[int, list[Gap]]:
    """The gaps of a week or more that these mailboxes came back from within the week in which they climb (W3): out of
    work, and paused by a person. What was shorter in between changes nothing."""
    left = StatusChange.objects.filter(
        mailbox=OuterRef("mailbox"), from_status=Status.CONNECTED, number__lt=OuterRef("number")
    ).order_by("-number")
    back = StatusChange.objects.filter(mailbox__in=mailbox_ids, to_status=Status.CONNECTED, at__gt=now - CLIMB)
    broken = back.annotate(left_at=Subquery(left.values("at")[:1])).filter(left_at__lte=F("at") - LONG_GAP)
    paused = Mailbox.objects.filter(id__in=mailbox_ids, long_pause_until__gt=now - CLIMB)
    found: defaultdict[int, list[Gap]] = defaultdict(list)
    for key, left_at, back_at in chain(
        broken.order_by().values_list("mailbox", "left_at", "at"),
        paused.values_list("id", "long_pause_from", "long_pause_until"),
    ):
        if left_at is not None and back_at is not None:
            found[key].append((left_at, back_at))
    return found


def locked(member_ids: Iterable[int]) -> list[PoolMember]:
    """These members, held until the transaction ends, in one order for everybody: else two would deadlock."""
    rows = PoolMember.objects.select_for_update(of=("self",)).filter(id__in=set(member_ids))
    return list(rows.select_related("pool").order_by("id"))


def grant(wanted: Mapping[int, int], now: datetime) -> dict[int, int]:
    """Count as sent what each of these members may still send of what it wants (by its id). Returns how many each may:
    judged and counted on the locked row, so that two workers never grant the same place. Inside a transaction."""
    days = days_of(locked(wanted), now)
    granted = {key: min(wanted[key], day.room) for key, day in days.items()}
    update_rows(PoolMember, [days[key].row(sent=amount) for key, amount in granted.items() if amount])
    return granted


def uncount(sent: Iterable[tuple[int, datetime]], received: Iterable[tuple[int, datetime]], now: datetime) -> None:
    """Take back what never went out: members' ids with the time when it was counted. Another day's numbers are no
    longer kept, and stay out of today's. Inside a transaction."""
    today = tempo.calendar(now).date()
    less_sent, less_received = (
        Counter(key for key, at in counted if tempo.calendar(at).date() == today) for counted in (sent, received)
    )
    rows = [
        day_of(one, (), now).row(-less_sent[one.pk], -less_received[one.pk])
        for one in locked(less_sent.keys() | less_received.keys())
        if one.day == today
    ]
    update_rows(PoolMember, rows)
