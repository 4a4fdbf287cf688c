"""What was seen lately of each provider, in memory: for the simulator and for tests. Pure.

The database keeps the same in `LoginCount` and `LoginSample` (`incidents.store`); a test holds the two together.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TypeVar

from mailboxes.health.failure_class import FailureClass
from mailboxes.health.incidents.values import EGRESS, RESOLVER, Counts, Key, Seen
from mailboxes.health.thresholds import Thresholds
from mailboxes.wire.values import Leg

BASELINE_DAYS = 7
Place = tuple[str, Leg]
T = TypeVar("T")
K = TypeVar("K", Key, tuple[str, Leg])


class _Recent:
    """The attempts of one window of time, counted as they come and go: to look costs the same however many."""

    def __init__(self, span: timedelta) -> None:
        self._span = span
        self.items: deque[Seen] = deque()
        self.groups: Counter[str] = Counter()
        self.domains: Counter[str] = Counter()
        self.mailboxes: Counter[int] = Counter()
        self.worse: Counter[int] = Counter()
        self.again = 0

    def add(self, one: Seen) -> None:
        """Count one in; each later than those before."""
        self.items.append(one)
        self._count(one, 1)

    def prune(self, now: datetime) -> _Recent:
        """Forget what is older than the window."""
        while self.items and self.items[0].at <= now - self._span:
            self._count(self.items.popleft(), -1)
        return self

    def _count(self, one: Seen, times: int) -> None:
        _shift(self.groups, one.group, times)
        _shift(self.domains, one.domain, times)
        _shift(self.mailboxes, one.mailbox_id, times)
        if one.worse:
            _shift(self.worse, one.mailbox_id, times)
        self.again += times * one.again

    def after(self, since: datetime | None) -> _Recent:
        """Return only what came after `since`."""
        if since is None or not self.items or self.items[0].at > since:
            return self
        found = _Recent(self._span)
        for one in self.items:
            if one.at > since:
                found.add(one)
        return found


def _shift(counter: Counter[T], key: T, times: int) -> None:
    counter[key] += times
    if not counter[key]:
        del counter[key]


class _Windows:
    """The same attempts in three windows: what is new, what closes an incident, and all that is kept."""

    def __init__(self, key_is_ours: bool, numbers: Thresholds) -> None:
        self.short = _Recent(numbers.ours_window if key_is_ours else numbers.incident_window)
        self.close = _Recent(numbers.incident_closes_after)
        self.long = _Recent(max(numbers.incident_worse_window, numbers.incident_closes_after))

    def add(self, one: Seen) -> None:
        for window in (self.short, self.close, self.long):
            window.add(one)
            window.prune(one.at)

    def prune(self, now: datetime) -> _Windows:
        for window in (self.short, self.close, self.long):
            window.prune(now)
        return self


class Ledger:
    """Attempts of the last quarter of an hour, and how many mailboxes usually break at an hour."""

    def __init__(self, numbers: Thresholds, population: int = 0) -> None:
        self._numbers = numbers
        self._population = population
        self._flags: deque[tuple[datetime, str]] = deque()
        self._failures: dict[Key, _Windows] = {}
        self._all_failures: dict[Place, _Windows] = {}
        self._passes: dict[Place, _Windows] = {}
        self._failing: defaultdict[Place, dict[int, FailureClass]] = defaultdict(dict)
        self._held: Counter[Key] = Counter()
        self._known: defaultdict[Place, set[int]] = defaultdict(set)
        self._worse_by_hour: defaultdict[Key, Counter[int]] = defaultdict(Counter)

    def add(self, seen: Iterable[Seen]) -> None:
        """Count these attempts in; none earlier than those of the call before."""
        for one in sorted(seen, key=attrgetter("at")):
            place = (one.scope, one.leg)
            self._known[place].add(one.mailbox_id)
            self._stands(place, one)
            if one.failure_class is None:
                self._windows(self._passes, place).add(one)
                continue
            key = Key(one.scope, one.leg, one.failure_class)
            self._windows(self._all_failures, place).add(one)
            self._windows(self._failures, key).add(one)
            if one.worse:
                self._worse_by_hour[key][_hour(one.at)] += 1

    def _stands(self, place: Place, one: Seen) -> None:
        """How the mailbox failed when it was last tried."""
        before = self._failing[place].pop(one.mailbox_id, None)
        if before is not None:
            self._held[Key(*place, before)] -= 1
        if one.failure_class is not None:
            self._failing[place][one.mailbox_id] = one.failure_class
            self._held[Key(*place, one.failure_class)] += 1

    def _windows(self, kept: dict[K, _Windows], key: K) -> _Windows:
        found = kept.get(key)
        if found is None:
            found = kept[key] = _Windows(key[0] in (RESOLVER, EGRESS), self._numbers)
        return found

    def prepare(self, keys: Iterable[Key], now: datetime) -> None:
        """Nothing to read: it is all in memory."""

    def forget_worse(self, key: Key, since: datetime, until: datetime) -> None:
        """Drop what an incident broke: it must not become what is usual."""
        for hour in range(_hour(since), _hour(until) + 1):
            self._worse_by_hour[key].pop(hour, None)

    def counts(self, key: Key, now: datetime, since: datetime | None = None) -> Counts:
        """Return what was seen of this key lately, and after `since`."""
        place = (key.scope, key.leg)
        passes = self._windows(self._passes, place).prune(now)
        failures = self._windows(self._all_failures, place).prune(now)
        alike = self._windows(self._failures, key).prune(now)
        short, close, long = (window.after(since) for window in (alike.short, alike.close, alike.long))
        return Counts(
            failing=len(short.mailboxes),
            checked=len(failures.short.mailboxes) + len(passes.short.items),
            worse=len(long.worse),
            usual_worse=self._usual(key, now),
            groups=len(long.groups),
            domains=len(long.domains),
            all_groups=len(long.groups.keys() | passes.long.groups.keys()),
            others_pass=any(domain not in long.domains for domain in passes.long.domains),
            first_failure_at=long.items[0].at if long.items else None,
            lately_failed=len(close.items),
            lately_tried=len(failures.close.items) + len(passes.close.items),
            others_failed=len(close.items) - close.again,
            others_tried=sum(len(one.close.items) - one.close.again for one in (failures, passes)),
            held=self._held[key],
            population=len(self._known[place]),
            recovered=passes.short.again,
            still_failing=short.again,
        )

    def flags(self, now: datetime) -> Counter[str]:
        """Return how many mailboxes were flagged lately, by workspace."""
        while self._flags and self._flags[0][0] <= now - self._numbers.flags_window:
            self._flags.popleft()
        return Counter(group for _at, group in self._flags)

    def flag(self, group: str, now: datetime) -> None:
        """Count a flag in."""
        self._flags.append((now, group))

    def population(self) -> int:
        """Return how many mailboxes there are."""
        return self._population

    def is_version_new(self, now: datetime) -> bool:
        """One version runs through a simulation."""
        return False

    def is_cap_lifted(self, now: datetime) -> bool:
        """Nobody lifts it in a simulation: a person speaks of incidents there."""
        return False

    def _usual(self, key: Key, now: datetime) -> float:
        hours = self._worse_by_hour[key]
        before = sum(hours[_hour(now) - 24 * day] for day in range(1, BASELINE_DAYS + 1))
        return before / BASELINE_DAYS * (self._numbers.incident_worse_window / timedelta(hours=1))


def _hour(at: datetime) -> int:
    return int(at.timestamp() // 3600)


def keys_of(seen: Iterable[Seen]) -> set[Key]:
    """Return the keys that these failures are of."""
    return {Key(one.scope, one.leg, one.failure_class) for one in seen if isinstance(one.failure_class, FailureClass)}
