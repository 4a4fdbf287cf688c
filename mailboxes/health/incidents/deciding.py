"""When an incident begins, opens and closes (SPEC H9; how others do it and real ones: INCIDENTS). Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from mailboxes.health.failure_class import FailureClass, Hold
from mailboxes.health.incidents.values import Counts, Incident, Key, Phase, Word
from mailboxes.health.thresholds import Thresholds
from mailboxes.wire.values import Leg

# A fault of our own meets whatever we speak to: fewer than half is somebody else's fault.
OURS_SHARE = 0.5


def step(
    before: Incident | None, key: Key, counts: Counts, now: datetime, numbers: Thresholds, *, new_version: bool = False
) -> Incident | None:
    """Return the incident after these counts; None while there is none.

    `before` is the last one of the key. `new_version`: a version of ours began within the last half hour, so that
    what begins now is taken for our own fault.
    """
    if before is None or before.phase is Phase.CLOSED:
        return _begin(before, key, counts, now, numbers, new_version=new_version)
    if before.phase is Phase.CANDIDATE:
        return _from_candidate(before, counts, now, numbers)
    return _from_open(before, counts, now, numbers)


def _begin(
    closed: Incident | None, key: Key, counts: Counts, now: datetime, numbers: Thresholds, *, new_version: bool
) -> Incident | None:
    was_open = closed is not None and closed.opened_at is not None
    again = was_open and closed is not None and now - closed.changed_at <= numbers.incident_reopens_within
    if not _is_wave(key, counts, numbers, part=numbers.candidate_part):
        return closed
    started = counts.first_failure_at or now
    made = Incident(key, Phase.CANDIDATE, started, now, ours=key.is_ours or new_version)
    if again or _is_wave(key, counts, numbers, part=1.0):
        return replace(made, phase=Phase.OPEN, opened_at=now)
    if closed is not None and not was_open and now - closed.changed_at < numbers.candidate_holds_for:
        return closed  # a candidate holds flags for ten minutes, and not again at once
    return made


def _from_candidate(before: Incident, counts: Counts, now: datetime, numbers: Thresholds) -> Incident:
    if _is_wave(before.key, counts, numbers, part=1.0):
        return replace(before, phase=Phase.OPEN, opened_at=now, changed_at=now)
    if now - before.changed_at >= numbers.candidate_holds_for:
        return replace(before, phase=Phase.CLOSED, changed_at=now)
    return before


def _from_open(before: Incident, counts: Counts, now: datetime, numbers: Thresholds) -> Incident:
    if before.word is Word.HOLD or not counts.lately_tried:
        return before
    is_young = now - (before.opened_at or before.started_at) < numbers.incident_closes_after
    share = max(counts.lately_failed / counts.lately_tried, counts.held / max(counts.population, 1))
    if is_young or share >= numbers.incident_closes_below:
        if _is_real_after_all(before, counts, now, numbers):
            return replace(before, word=Word.BY_RULE, changed_at=now)
        return _recovering(before, counts, now, numbers)
    # What is counted lately is as long as the quiet has to last.
    return replace(before, phase=Phase.CLOSED, changed_at=now)


def _is_real_after_all(before: Incident, counts: Counts, now: datetime, numbers: Thresholds) -> bool:
    """After a day, where nearly all the provider's others pass: what still fails goes through H4 one by one."""
    is_long = before.opened_at is not None and now - before.opened_at >= numbers.incident_long
    if not is_long or before.word is not Word.NONE or counts.others_tried < numbers.incident_failing:
        return False
    return counts.others_tried - counts.others_failed >= numbers.incident_others_pass * counts.others_tried


def _recovering(before: Incident, counts: Counts, now: datetime, numbers: Thresholds) -> Incident:
    """Where most of the held ones that are tried pass, all of them are tried soon; flags are held all the same."""
    tried = counts.recovered + counts.still_failing
    passes = tried >= numbers.recovering_tries and counts.recovered >= numbers.recovering_share * tried
    lately = before.recovering_at is not None and now - before.recovering_at < numbers.recovering_again_after
    return replace(before, recovering_at=now) if passes and not lately else before


def _is_wave(key: Key, counts: Counts, numbers: Thresholds, *, part: float) -> bool:
    if not _is_broad(key, counts, numbers):
        return False
    least = math.ceil(numbers.incident_failing * part)
    share = OURS_SHARE if key.is_ours else numbers.incident_share
    failing = counts.failing >= max(least, share * part * counts.checked)
    usual = numbers.incident_worse_times_usual * counts.usual_worse
    worse = not key.is_ours and counts.worse >= max(least, usual * part)
    return failing or worse


def _is_broad(key: Key, counts: Counts, numbers: Thresholds) -> bool:
    """From three workspaces; where fewer have mailboxes there, from three mail domains. A single mail domain that
    fails while others log in is that domain's own matter."""
    if not key.is_ours and counts.domains == 1 and counts.others_pass:
        return False
    if counts.groups >= numbers.incident_workspaces:
        return True
    few_live_there = counts.all_groups < numbers.incident_workspaces
    return not key.is_ours and few_live_there and counts.domains >= numbers.incident_workspaces


# What a login could make worse is tried rarely; the rest heals by its own rounds (H5).
_TRIED_RARELY = frozenset({FailureClass.LOGIN, FailureClass.POLICY, FailureClass.BLOCK})


def hold_of(incident: Incident, now: datetime, numbers: Thresholds) -> Hold:
    """Return what the incident holds back."""
    age = now - incident.started_at
    rarely = next((every for until, every in numbers.held_every if age < until), numbers.held_long_every)
    usual = rarely if incident.key.failure_class in _TRIED_RARELY else None
    return Hold(
        leg=incident.key.leg,
        failure_class=incident.key.failure_class,
        since=incident.started_at - numbers.incident_looks_back,
        recheck_every=numbers.held_ours_every if incident.ours else usual,
        ours=incident.ours,
    )


def holds_for(
    active: Iterable[Incident], scopes: Mapping[Leg, str], now: datetime, numbers: Thresholds
) -> tuple[Hold, ...]:
    """Return what these incidents hold back at a mailbox of these scopes."""
    found = []
    for incident in active:
        if incident.key.is_ours:  # whatever leg it was seen at, each leg leaves by the same way
            found += [replace(hold_of(incident, now, numbers), leg=leg) for leg in scopes]
        elif scopes.get(incident.key.leg) == incident.key.scope:
            found.append(hold_of(incident, now, numbers))
    return tuple(found)


def released_at(position: float, now: datetime, numbers: Thresholds) -> datetime:
    """Return when a held mailbox is tried after the end: spread out, so that the provider is not flooded.

    `position` is between 0 and 1, another for each mailbox.
    """
    return now + timedelta(seconds=numbers.released_within.total_seconds() * position)
