"""The last cap (SPEC H9): whatever the rules say, no more than so many mailboxes are flagged in ten minutes. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

from mailboxes.health.decide import Decision
from mailboxes.health.thresholds import Thresholds


def newly_flagged(decisions: Sequence[Decision]) -> Iterator[Decision]:
    """Yield those that would ask for a reconnect from now on."""
    for decision in decisions:
        before = decision.snapshot.legs
        if any(state.flagged_at and not before[leg].flagged_at for leg, state in decision.legs.items()):
            yield decision


def over_the_cap(
    wanted: Sequence[Decision], lately: Counter[str], population: int, numbers: Thresholds
) -> list[Decision]:
    """Return those of `wanted` that have to wait. `lately` counts the flags of the last ten minutes by workspace,
    among `population` mailboxes."""
    cap = max(numbers.flags_cap, numbers.flags_cap_share * population)
    counts, found = Counter(lately), []
    for decision in wanted:
        group = str(decision.snapshot.workspace_id)
        counts[group] += 1
        if counted(counts, numbers) > cap:
            counts[group] -= 1
            found.append(decision)
    return found


def counted(by_group: Counter[str], numbers: Thresholds) -> int:
    """Return how many flags the cap counts: a workspace's own wave, as where it changes all its passwords, is no sign
    of a fault, and a few of them may meet."""
    waves = (count for count in by_group.values() if count >= numbers.flags_of_one_workspace)
    return by_group.total() - sum(heapq.nlargest(numbers.flags_waves_apart, waves))
