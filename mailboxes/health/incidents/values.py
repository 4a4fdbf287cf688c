"""What an incident is of, what is counted for it, and how it stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mailboxes.health.failure_class import FailureClass
from mailboxes.wire.values import Leg

# Scopes of our own: what fails there is no provider's and no mailbox's fault.
RESOLVER = "ours:resolver"
EGRESS = "ours:egress"


class Key(NamedTuple):
    """A provider (or host, OAuth client, way out of ours), a leg, and a class of failure."""

    scope: str
    leg: Leg
    failure_class: FailureClass

    @property
    def is_ours(self) -> bool:
        """Return whether the fault would be our own."""
        return self.scope.startswith("ours:")


# Where nobody answers, it may be our own way out or name server: other providers' mailboxes can tell.
MAYBE_OURS = frozenset({FailureClass.NETWORK, FailureClass.NAME})


class Phase(StrEnum):
    """How far an incident has come."""

    CANDIDATE = "candidate"
    OPEN = "open"
    CLOSED = "closed"


class Word(StrEnum):
    """What a person said of it."""

    NONE = ""
    HOLD = "hold"  # stays open until a person ends it
    RELEASE = "release"  # no incident: its mailboxes go through H4 one by one
    BY_RULE = "rule"  # released after a day, by the rule and by nobody's word
    REAL = "real"  # the refusals are meant: its mailboxes are flagged now


@dataclass(frozen=True, slots=True)
class Seen:
    """One attempt at a leg whose credential had worked before. `failure_class` is None where it passed.

    `group` is the workspace; of a fault of our own, the provider or host that it met.
    `worse`: the mailbox went out of work with it; `again`: its leg had an open failure before.
    """

    scope: str
    leg: Leg
    at: datetime
    mailbox_id: int
    group: str
    domain: str
    failure_class: FailureClass | None = None
    worse: bool = False
    again: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was seen of a key lately. Distinct mailboxes, where nothing else is said.

    `failing` and `checked` in the short window, `worse` in the long one, `usual_worse` what that is at this hour.
    `groups` and `domains` are those of the failing ones in the long window; `all_groups` those in which anything was
    seen there, at most three of them counted; `others_pass`: others than the failing group or domain log in.
    `lately_failed` and `lately_tried` are attempts in the time after which an incident closes; `others_failed` and
    `others_tried` those among them of legs that had no open failure before. `held` of the
    `population` failed alike when they were last tried; `recovered` and `still_failing` are attempts in the short
    window of those that had failed before.
    """

    failing: int = 0
    checked: int = 0
    worse: int = 0
    usual_worse: float = 0.0
    groups: int = 0
    domains: int = 0
    all_groups: int = 0
    others_pass: bool = False
    first_failure_at: datetime | None = None
    lately_failed: int = 0
    lately_tried: int = 0
    others_failed: int = 0
    others_tried: int = 0
    held: int = 0
    population: int = 0
    recovered: int = 0
    still_failing: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it stands. `started_at` is back-dated to the first failure."""

    key: Key
    phase: Phase
    started_at: datetime
    changed_at: datetime
    opened_at: datetime | None = None
    recovering_at: datetime | None = None
    word: Word = Word.NONE
    ours: bool = field(default=False)

    @property
    def is_active(self) -> bool:
        """Return whether it holds anything."""
        return self.phase is not Phase.CLOSED and self.word in (Word.NONE, Word.HOLD)
