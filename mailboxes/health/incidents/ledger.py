"""What was seen lately of each provider, in memory: for the simulator and for tests. Pure.

The database keeps the same in `LoginCount` and `LoginSample` (`incidents.store`); a test holds the two together.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta

from mailboxes.health.failure_class import FailureClass
from mailboxes.health.incidents.values import Counts, Key, Seen
from mailboxes.health.thresholds import Thresholds
from mailboxes.wire.values import Leg

BASELINE_DAYS = 7
Place = tuple[str, Leg]


class Ledger:
    """Attempts of the last quarter of an hour, and how many mailboxes usually break at an hour."""

    def __init__(self, numbers: Thresholds) -> None:
        self._numbers = numbers
        self._keep = max(numbers.incident_worse_window, numbers.incident_closes_after)
        self._failures: defaultdict[Place, deque[Seen]] = defaultdict(deque)
        self._passes: defaultdict[Place, deque[Seen]] = defaultdict(deque)
        self._failing: defaultdict[Place, dict[int, FailureClass]] = defaultdict(dict)
        self._known: defaultdict[Place, set[int]] = defaultdict(set)
        self._worse_by_hour: defaultdict[Key, Counter[int]] = defaultdict(Counter)

    def add(self, seen: Iterable[Seen]) -> None:
        """Count these attempts in; each later than those before."""
        for one in seen:
            place = (one.scope, one.leg)
            self._prune(place, one.at)
            self._known[place].add(one.mailbox_id)
            if one.failure_class is None:
                self._passes[place].append(one)
                self._failing[place].pop(one.mailbox_id, None)
            else:
                self._failures[place].append(one)
                self._failing[place][one.mailbox_id] = one.failure_class
                if one.worse:
                    self._worse_by_hour[Key(one.scope, one.leg, one.failure_class)][_hour(one.at)] += 1

    def prepare(self, keys: Iterable[Key], now: datetime) -> None:
        """Nothing to read: it is all in memory."""

    def forget_worse(self, key: Key, since: datetime, until: datetime) -> None:
        """Drop what an incident broke: it must not become what is usual."""
        for hour in range(_hour(since), _hour(until) + 1):
            self._worse_by_hour[key].pop(hour, None)

    def counts(self, key: Key, now: datetime, since: datetime | None = None) -> Counts:
        """Return what was seen of this key lately, and after `since`."""
        numbers, place = self._numbers, (key.scope, key.leg)
        self._prune(place, now)
        failures, passes = self._failures[place], self._passes[place]
        alike = [
            one for one in failures if one.failure_class is key.failure_class and (since is None or one.at > since)
        ]
        short = now - (numbers.ours_window if key.is_ours else numbers.incident_window)
        close = now - numbers.incident_closes_after
        groups, domains = {one.group for one in alike}, {one.domain for one in alike}
        return Counts(
            failing=len({one.mailbox_id for one in alike if one.at > short}),
            checked=len({one.mailbox_id for one in failures if one.at > short}) + sum(one.at > short for one in passes),
            worse=len({one.mailbox_id for one in alike if one.worse}),
            usual_worse=self._usual(key, now),
            groups=len(groups),
            domains=len(domains),
            all_groups=len(groups | {one.group for one in passes}),
            others_pass=any(one.domain not in domains for one in passes),
            first_failure_at=min((one.at for one in alike), default=None),
            lately_failed=sum(one.at > close for one in alike),
            lately_tried=sum(one.at > close for one in failures) + sum(one.at > close for one in passes),
            held=sum(one is key.failure_class for one in self._failing[place].values()),
            population=len(self._known[place]),
            recovered=sum(one.again and one.at > short for one in passes),
            still_failing=sum(one.again and one.at > short for one in alike),
        )

    def _usual(self, key: Key, now: datetime) -> float:
        hours = self._worse_by_hour[key]
        before = sum(hours[_hour(now) - 24 * day] for day in range(1, BASELINE_DAYS + 1))
        return before / BASELINE_DAYS * (self._numbers.incident_worse_window / timedelta(hours=1))

    def _prune(self, place: Place, now: datetime) -> None:
        failures, passes = self._failures[place], self._passes[place]
        while failures and failures[0].at <= now - self._keep:
            failures.popleft()
        while passes and passes[0].at <= now - self._keep:
            passes.popleft()


def _hour(at: datetime) -> int:
    return int(at.timestamp() // 3600)


def keys_of(seen: Iterable[Seen]) -> set[Key]:
    """Return the keys that these failures are of."""
    return {Key(one.scope, one.leg, one.failure_class) for one in seen if isinstance(one.failure_class, FailureClass)}
