"""One batch of observations, decided with the incidents that they are part of (SPEC H9). Pure but for the ledger.

Production keeps ledger and incidents in the database, the simulator in memory; both decide here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.health.decide import Decision, Snapshot, decide, hold_back, reconsider
from mailboxes.health.evidence import Evidence
from mailboxes.health.incidents.cap import newly_flagged, over_the_cap
from mailboxes.health.incidents.deciding import holds_for, step
from mailboxes.health.incidents.ledger import keys_of
from mailboxes.health.incidents.observing import seen_in
from mailboxes.health.incidents.values import MAYBE_OURS, Counts, Incident, Key, Phase, Seen, Word
from mailboxes.health.policy import is_held
from mailboxes.health.thresholds import Thresholds
from mailboxes.states import Source


class Book(Protocol):
    """Where attempts are counted."""

    def add(self, seen: Iterable[Seen]) -> None:
        """Count these attempts in."""

    def prepare(self, keys: Iterable[Key], now: datetime) -> None:
        """Read what `counts` will need for these."""

    def counts(self, key: Key, now: datetime, since: datetime | None = None) -> Counts:
        """Return what was seen of this key lately, and after `since`."""

    def flags(self, now: datetime) -> Counter[str]:
        """Return how many mailboxes were flagged lately, by workspace."""

    def flag(self, group: str, now: datetime) -> None:
        """Count a flag in."""

    def population(self) -> int:
        """Return how many mailboxes there are, about."""

    def is_version_new(self, now: datetime) -> bool:
        """Return whether a version of ours began lately."""

    def is_cap_lifted(self, now: datetime) -> bool:
        """Return whether a person says that so many flags are right."""


@dataclass
class Board:
    """The incidents as they stand: the last one of each key."""

    numbers: Thresholds
    book: Book
    incidents: dict[Key, Incident] = field(default_factory=dict)

    @property
    def active(self) -> list[Incident]:
        """Return those that hold something."""
        return [one for one in self.incidents.values() if one.is_active]

    def decide(
        self,
        batch: Sequence[tuple[Snapshot, Sequence[Evidence]]],
        diagnose: Callable[[Reply], Diagnosis],
        now: datetime,
    ) -> tuple[list[Decision], list[Incident]]:
        """Return the decisions, and the incidents that changed. What one of them explains is decided anew."""
        decisions = self._decide(batch, diagnose, now)
        seen = [one for decision in decisions for one in seen_in(decision)]
        self.book.add(seen)
        changed = self.look_at(keys_of(seen), now)
        decided = self._decide(batch, diagnose, now) if changed else decisions
        self._cap(decided, now)
        return decided, changed

    def decide_waiting(self, snapshots: Iterable[Snapshot], now: datetime) -> list[Decision]:
        """Decide those anew, without a login, whose flag waits for room under the cap."""
        active, numbers = self.active, self.numbers
        decisions = [
            reconsider(one, now, holds=holds_for(active, one.scopes, now, numbers), numbers=numbers)
            for one in snapshots
        ]
        for decision in decisions:
            decision.why = Source.CHECK
        self._cap(decisions, now)
        return decisions

    def _cap(self, decisions: Sequence[Decision], now: datetime) -> None:
        """Hold back what the cap does not let through; what a person spoke of is not counted."""
        words = (Word.REAL, Word.RELEASE)
        spoken = [one for one in self.incidents.values() if one.word in words and one.phase is Phase.OPEN]
        wanted = [one for one in newly_flagged(decisions) if not self._is_of(one, spoken, now)]
        if not wanted:
            return
        lately = self.book.flags(now)
        is_much = lately.total() + len(wanted) > self.numbers.flags_cap
        if is_much and not self.book.is_cap_lifted(now):
            for one in over_the_cap(wanted, lately, self.book.population(), self.numbers):
                hold_back(one, now, self.numbers)
        for one in wanted:
            if not one.capped:
                self.book.flag(str(one.snapshot.workspace_id), now)

    def _is_of(self, decision: Decision, incidents: Sequence[Incident], now: datetime) -> bool:
        holds = holds_for(incidents, decision.snapshot.scopes, now, self.numbers)
        return any(is_held(state, leg, holds) for leg, state in decision.legs.items() if state.flagged_at is not None)

    def look_at(self, keys: Iterable[Key], now: datetime) -> list[Incident]:
        """Step these keys, our own first: what is ours is no provider's. Return those that changed."""
        changed = []
        ordered = sorted(keys, key=lambda one: (not one.is_ours, one))
        self.book.prepare(ordered, now)
        for key in ordered:
            before = self.incidents.get(key)
            if before is None and self._is_explained(key):
                continue
            # What an incident that is over has seen begins no other.
            since = before.changed_at if before is not None and before.phase is Phase.CLOSED else None
            counts = self.book.counts(key, now, since)
            begins = counts.failing > 1 and (before is None or before.phase is Phase.CLOSED)
            new_version = begins and self.book.is_version_new(now)
            after = step(before, key, counts, now, self.numbers, new_version=new_version)
            if after is not None and after != before:
                self.incidents[key] = after
                changed.append(after)
        return changed

    def _is_explained(self, key: Key) -> bool:
        ours = any(one.key.is_ours for one in self.active)
        return ours and not key.is_ours and key.failure_class in MAYBE_OURS

    def _decide(
        self,
        batch: Sequence[tuple[Snapshot, Sequence[Evidence]]],
        diagnose: Callable[[Reply], Diagnosis],
        now: datetime,
    ) -> list[Decision]:
        active, numbers = self.active, self.numbers
        return [
            decide(found, items, diagnose, now, holds=holds_for(active, found.scopes, now, numbers), numbers=numbers)
            for found, items in batch
        ]
