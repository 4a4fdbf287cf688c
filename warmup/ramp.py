"""How much a member sends today, and when. Pure; W1 for the ramp, W3 for the way back after a break."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

CLIMB = timedelta(days=7)
LONG_GAP, LONGER_GAP = timedelta(days=7), timedelta(days=14)
FROM, UNTIL = time(7), time(21)


@dataclass(frozen=True, slots=True)
class Ramp:
    """A pool's ramp: messages on the first day, more on each day that it sends, and the most."""

    start: int
    step: int
    ceiling: int

    def level(self, days_sent: int) -> int:
        """What the member has reached after so many days on which it sent."""
        return min(self.start + self.step * days_sent, self.ceiling)


def pace(gap: timedelta, since_return: timedelta) -> float:
    """The share of its level that a returned mailbox sends: all after a gap under 7 days; half up to 14, a quarter
    after more, climbing back over 7 days."""
    if gap < LONG_GAP:
        return 1.0
    start = 0.5 if gap <= LONGER_GAP else 0.25
    return min(1.0, start + (1 - start) * (since_return / CLIMB))


def quota(level: int, share: float) -> int:
    """Messages today: one at least, so that it climbs at all."""
    return max(1, round(level * share))


def slots(amount: int, member_id: int, day: datetime) -> list[datetime]:
    """The day's times, spread over its hours: each in a stretch of its own, somewhere in it. The same ones whenever
    they are asked for."""
    dice = random.Random(f"{member_id} {day:%Y-%m-%d}")  # noqa: S311 - no secret
    begins = datetime.combine(day.date(), FROM, tzinfo=day.tzinfo)
    stretch = (datetime.combine(day.date(), UNTIL, tzinfo=day.tzinfo) - begins) / max(amount, 1)
    return [begins + stretch * (at + dice.random()) for at in range(amount)]


def next_slot(planned: Sequence[datetime], after: datetime) -> datetime | None:
    """The first time after this moment. What was missed is not made up for."""
    return next((slot for slot in planned if slot > after), None)
