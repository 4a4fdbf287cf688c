"""Limits that hold on any number of machines: counted in the database, each try in one conditional UPDATE (SPEC S4)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from mailboxes.models import RateLimit


class Limited(Exception):
    """Too often. `until` is when it may be tried again, `whose` whose tries are counted, `what` what is counted."""

    def __init__(self, whose: str, until: datetime, what: str = "tests") -> None:
        super().__init__(f"Too many {what} {whose}.")
        self.until = until

    def words(self, now: datetime) -> str:
        """What people read: how long to wait."""
        return f"{str(self)[:-1]}: try again in {self.wait(now)}. Nothing was changed."

    def wait(self, now: datetime) -> str:
        """The time to wait, in words."""
        minutes = max(1, -int((now - self.until).total_seconds() // 60))
        return f"{minutes} minute{'s' if minutes > 1 else ''}" if minutes < 90 else f"{round(minutes / 60)} hours"


@dataclass(frozen=True, slots=True)
class Window:
    """At most so many in so long."""

    most: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Rate:
    """`most` tries at once; used ones come back evenly, all of them within `within`. `what` is named to people."""

    name: str
    most: int
    within: timedelta
    what: str = "tries"

    @property
    def full_ms(self) -> int:
        """The bucket's size."""
        return round(self.within.total_seconds() * 1000)

    @property
    def cost_ms(self) -> int:
        """What one try takes of it."""
        return self.full_ms // self.most


Counted = tuple[Rate, str]


def take(rate: Rate, key: str, now: datetime, whose: str = "") -> None:
    """Use up one try of `key`. Raises Limited where none is left; nothing is used up then."""
    rows, at = _row(rate, key), _ms(now)
    RateLimit.objects.bulk_create([RateLimit(key=_hash(rate, key), empty_at=at)], ignore_conflicts=True)
    has_room = rows.filter(empty_at__lte=at + rate.full_ms - rate.cost_ms)
    if not has_room.update(empty_at=Greatest(F("empty_at"), at) + rate.cost_ms):
        raise Limited(whose, free_at(rate, key) or now, rate.what)


def take_all(counted: Sequence[Counted], now: datetime) -> None:
    """Use up one try of each, or of none. Raises Limited."""
    for number, (rate, key) in enumerate(counted):
        try:
            take(rate, key, now)
        except Limited:
            for done, its_key in counted[:number]:
                give_back(done, its_key)
            raise


def give_back(rate: Rate, key: str) -> None:
    """Undo one `take`: what it was for succeeded, and costs nobody anything."""
    _row(rate, key).update(empty_at=F("empty_at") - rate.cost_ms)


def forget(rate: Rate, key: str) -> None:
    """Start `key` over."""
    _row(rate, key).delete()


def free_at(rate: Rate, key: str) -> datetime | None:
    """When one try is there again; None where nothing was ever taken."""
    empty_at = _row(rate, key).values_list("empty_at", flat=True).first()
    return None if empty_at is None else datetime.fromtimestamp((empty_at - rate.full_ms + rate.cost_ms) / 1000, UTC)


def _row(rate: Rate, key: str) -> QuerySet[RateLimit]:
    return RateLimit.objects.filter(key=_hash(rate, key))


def _hash(rate: Rate, key: str) -> str:
    return hashlib.sha256(f"{rate.name}\0{key}".encode()).hexdigest()


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
