"""What a mailbox has sent lately, how near its provider's limits that is, and how long a limit reply rests it (H13).

Use is kept by minute for an hour and by hour for a day, so a mailbox's column stays small whatever it sends. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mailboxes.health.thresholds import Thresholds
from mailboxes.providers.limits import SendLimits, Window

NEAR = 0.8
LONGEST = timedelta(days=1)
WHAT = ("messages", "recipients")
Buckets = Mapping[str, Mapping[str, list[int]]]


@dataclass(frozen=True, slots=True)
class _Series:
    """Buckets of one size: how each is named, how long it is, and the longest window that they serve."""

    form: str
    step: timedelta
    serves: timedelta

    def began(self, bucket: str) -> datetime:
        return datetime.strptime(bucket, self.form).replace(tzinfo=UTC)


_SERIES = {
    "minutes": _Series("%Y%m%dT%H%M", timedelta(minutes=1), timedelta(hours=1)),
    "hours": _Series("%Y%m%dT%H", timedelta(hours=1), timedelta(days=1)),
}
_NAMED = re.compile(r"(?:try again|retry|wait|come back)\D{0,30}?(\d{1,4})\s*(second|minute|min|hour|hr)")
_UNITS = {"second": 1, "min": 60, "minute": 60, "hour": 3600, "hr": 3600}


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one limit is used."""

    what: str
    window: Window
    used: int
    limit: int

    @property
    def share(self) -> float:
        """1.0 at the limit."""
        return self.used / self.limit

    @property
    def near_from(self) -> int:
        """The number from which on it is near: 80 %."""
        return int(self.limit * NEAR)

    @property
    def near(self) -> bool:
        """True from 80 % on."""
        return self.share >= NEAR


def count(buckets: Buckets, recipients: int, at: datetime) -> dict[str, dict[str, list[int]]]:
    """The buckets with one message more, to so many recipients; what is out of every window is dropped."""
    counted = {}
    for name, series in _SERIES.items():
        old = buckets.get(name, {}).items()
        kept = {bucket: values for bucket, values in old if at - series.began(bucket) < series.serves + series.step}
        messages, people = kept.get(at.strftime(series.form), [0, 0])
        counted[name] = kept | {at.strftime(series.form): [messages + 1, people + recipients]}
    return counted


def used(buckets: Buckets, window: Window, now: datetime) -> dict[str, int]:
    """Messages and recipients in the window that ends now; a bucket that is half inside counts whole."""
    name = "hours" if window is Window.DAY else "minutes"
    series, since = _SERIES[name], now - window.length
    inside = [v for bucket, v in buckets.get(name, {}).items() if series.began(bucket) + series.step > since]
    return {what: sum(values[at] for values in inside) for at, what in enumerate(WHAT)}


def uses(buckets: Buckets, limits: SendLimits, now: datetime) -> list[Use]:
    """The use of every limit that is known, the shortest window first."""
    found = []
    for window in limits.windows:
        sent = used(buckets, window, now)
        found += [Use(what, window, sent[what], limit) for what in WHAT if (limit := limits.of(what, window))]
    return found


def throttled_for(text: str, times: int, numbers: Thresholds) -> timedelta:
    """Return how long no login is tried after "too many logins": as the reply says, else 30 minutes, doubling with
    each time in a row up to 4 hours (SPEC D1)."""
    if (named := _named_wait(text)) is not None:
        return named
    doubled: int = 2 ** min(times, 16)
    return min(numbers.throttled_first * doubled, numbers.throttled_longest)


def _named_wait(text: str) -> timedelta | None:
    named = _NAMED.search(text.lower())
    return min(timedelta(seconds=int(named.group(1)) * _UNITS[named.group(2)]), LONGEST) if named else None


def rest_for(text: str, variant: str, limits: SendLimits, buckets: Buckets, at: datetime) -> timedelta:
    """How long a limit reply rests the mailbox: until the window has passed in which the provider counts.

    The reply's own time counts first, then the window it names (`variant`), then the one whose limit is used up by our
    count, then the longest that the provider is known by; a day where nothing is known.
    """
    if (named := _named_wait(text)) is not None:
        return named
    if variant in {window.value for window in Window}:
        return Window(variant).length
    full = [use.window for use in uses(buckets, limits, at) if use.share >= 1]
    return (full or limits.windows or (Window.DAY,))[-1].length
