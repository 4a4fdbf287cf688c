"""The scenario `recipient-lies`: a recipients' server says "550 5.1.1" of living addresses (SPEC H9). Pure.

Seven usual days come first, with one address in fifty really dead, so that what is usual is known.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mailboxes.health.recipients import DomainCounts, is_burst
from mailboxes.health.simulation.world import LEAST_WORKSPACES, OF_A_WORKSPACE, START
from mailboxes.health.thresholds import Thresholds

NAME = "recipient-lies"
SAYS = "A recipients' server says of living addresses that they do not exist."
USUAL_DAYS = 7
LETTERS_A_DAY = 30
AT_THE_DOMAIN = 0.4
DEAD = 0.02
MINUTES = 142.0  # as on 15 December 2020
FAULT_AFTER = timedelta(days=USUAL_DAYS, hours=6)
AFTERWARDS = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Fault:
    """One address that was said not to exist."""

    at: datetime
    lead: int
    workspace: int


@dataclass
class Domain:
    """What is known of one recipients' domain, decided as in production."""

    numbers: Thresholds
    lately: deque[Fault] = field(default_factory=deque)
    usual: Counter[int] = field(default_factory=Counter)
    suppressed: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)

    def note(self, fault: Fault) -> None:
        """One more; where it is a burst, all of the last window is held, and nobody suppressed."""
        while self.lately and self.lately[0].at <= fault.at - self.numbers.recipients_window:
            self.usual[_hour(self.lately.popleft().at)] += 1
        self.suppressed.add(fault.lead)
        if fault.lead in self.held:
            return  # tried again, and said not to exist once more
        self.lately.append(fault)
        if is_burst(self._counts(fault.at), self.numbers):
            for one in self.lately:
                self.suppressed.discard(one.lead)
                self.held.add(one.lead)

    def _counts(self, now: datetime) -> DomainCounts:
        before = sum(self.usual[_hour(now) - 24 * day] for day in range(1, USUAL_DAYS + 1)) / USUAL_DAYS
        leads, workspaces = {one.lead for one in self.lately}, {one.workspace for one in self.lately}
        return DomainCounts(len(leads), len(workspaces), before)


def _hour(at: datetime) -> int:
    return int(at.timestamp() // 3600)


def run(mailboxes: int, minutes: float, seed: int, numbers: Thresholds) -> dict[str, Any]:
    """Run it and return its figures."""
    dice = random.Random(seed)
    domain, dead = Domain(numbers), set[int]()
    begins = START + FAULT_AFTER
    ends, until = begins + timedelta(minutes=minutes), begins + timedelta(minutes=minutes) + AFTERWARDS
    queue = list(_letters(mailboxes, until, dice, dead))
    heapq.heapify(queue)
    written: Counter[int] = Counter()
    while queue:
        at, lead, workspace = heapq.heappop(queue)
        written[lead] += 1
        if lead in dead or begins <= at < ends:
            domain.note(Fault(at, lead, workspace))
            if lead in domain.held and written[lead] == 1 and at + numbers.recipients_held_for < until:
                heapq.heappush(queue, (at + numbers.recipients_held_for, lead, workspace))
    return {
        "leads_written_to": len(written),
        "leads_suppressed_wrongly": len(domain.suppressed - dead),
        "leads_suppressed_rightly": len(domain.suppressed & dead),
        "leads_held": len(domain.held),
    }


def _letters(
    mailboxes: int, until: datetime, dice: random.Random, dead: set[int]
) -> Iterator[tuple[datetime, int, int]]:
    """Each letter goes to another lead, at any hour; some of the addresses are dead."""
    workspaces = max(LEAST_WORKSPACES + 1, mailboxes // OF_A_WORKSPACE)
    days = (until - START) / timedelta(days=1)
    for lead in range(round(mailboxes * LETTERS_A_DAY * AT_THE_DOMAIN * days)):
        if dice.random() < DEAD:
            dead.add(lead)
        yield START + timedelta(days=days) * dice.random(), lead, dice.randrange(workspaces)
