"""A member's day: what it may send and take, and what it has. The one place where the numbers of a day are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import OuterRef, Subquery

from mailboxes.models import Mailbox, StatusChange
from mailboxes.models.sets import update_rows
from mailboxes.outbox import tempo
from mailboxes.states import Status
from warmup.models import PoolMember
from warmup.ramp import pace, quota

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

    @property
    def room(self) -> int:
        """How many more it may send."""
        return max(0, self.allowed - self.sent)

    @property
    def room_to_receive(self) -> int:
        """How many more it takes: as many in all as its ramp allows it to send."""
        return max(0, self.member.pool.ramp.level(self.days_sent) - self.received)

    def row(self, sent: int = 0, received: int = 0) -> dict[str, Any]:
        """The columns with so many more of each."""
        return {
            "pk": self.member.pk,
            "day": self.date.isoformat(),
            "days_sent": self.days_sent,
            "sent_today": max(0, self.sent + sent),
            "received_today": max(0, self.received + received),
        }


def day_of(member: PoolMember, gap: Gap | None, now: datetime) -> Day:
    """Where the member stands today; a new day begins its numbers anew. Its pool is loaded with it."""
    today = tempo.calendar(now).date()
    same = member.day == today
    days_sent = member.days_sent + (0 if same else int(member.sent_today > 0))
    share = pace(gap[1] - gap[0], now - gap[1]) if gap else 1.0
    allowed = quota(member.pool.ramp.level(days_sent), share)
    sent, received = (member.sent_today, member.received_today) if same else (0, 0)
    return Day(member, today, days_sent, sent, received, allowed)


def days_of(members: Sequence[PoolMember], now: datetime) -> dict[int, Day]:
    """Each member's day by its id, in one query. Their pools are loaded with them."""
    gaps = _gaps([one.mailbox_id for one in members])
    return {one.pk: day_of(one, gaps.get(one.mailbox_id), now) for one in members}


def _gaps(mailbox_ids: Sequence[int]) -> dict[int, Gap]:
    """When each mailbox last left work and came back, by its status changes."""
    changes = StatusChange.objects.filter(mailbox=OuterRef("pk"))
    back = changes.filter(to_status=Status.CONNECTED).order_by("-number")
    left = changes.filter(from_status=Status.CONNECTED).order_by("-number")
    rows = Mailbox.objects.filter(id__in=mailbox_ids).annotate(
        left_at=Subquery(left.values("at")[:1]), back_at=Subquery(back.values("at")[:1])
    )
    found = rows.filter(left_at__isnull=False, back_at__isnull=False).values_list("id", "left_at", "back_at")
    return {key: (left_at, back_at) for key, left_at, back_at in found if back_at > left_at}


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
        day_of(one, None, now).row(-less_sent[one.pk], -less_received[one.pk])
        for one in locked(less_sent.keys() | less_received.keys())
        if one.day == today
    ]
    update_rows(PoolMember, rows)
