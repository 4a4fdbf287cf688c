"""The recipients' twin of an incident (SPEC H9): a burst of "no such user" from one recipient domain is that domain's
fault and no list of dead addresses, as Gmail showed on 15 December 2020. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mailboxes.health.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class DomainCounts:
    """How many distinct recipients of a domain were said not to exist in the last window, for how many workspaces, and
    how many that usually are at this hour of the day."""

    recipients: int
    workspaces: int
    usual: float = 0.0


def is_burst(counts: DomainCounts, numbers: Thresholds) -> bool:
    """Return whether so many at once are more likely the server's fault. One workspace's bad list is none."""
    least = max(numbers.recipients_least, numbers.recipients_times_usual * counts.usual)
    return counts.workspaces >= numbers.recipients_workspaces and counts.recipients >= least
