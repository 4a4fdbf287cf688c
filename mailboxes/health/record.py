"""The one door: evidence in, for one mailbox or for 500, in one transaction with a constant number of statements."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.health import host_budget, rollups
from mailboxes.health.decide import Decision
from mailboxes.health.evidence import Evidence
from mailboxes.health.incidents import effects, store
from mailboxes.health.rules import diagnose as diagnose_by_rules
from mailboxes.health.saving import save
from mailboxes.health.snapshots import load
from mailboxes.states import PauseReason, Status

logger = logging.getLogger(__name__)
TRIES = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mailbox."""

    mailbox_id: int
    status: Status
    pause_reason: PauseReason
    changed: bool


def record(
    evidence: Iterable[Evidence], *, now: datetime, diagnose: Callable[[Reply], Diagnosis] = diagnose_by_rules
) -> list[Outcome]:
    """Diagnose the evidence, move the mailboxes that it moves, and say when each is due again.

    Where another worker moved a mailbox meanwhile, it is reloaded and decided again, at most three times (H8).
    Evidence of a mailbox that is gone is dropped.
    """
    grouped: dict[int, list[Evidence]] = defaultdict(list)
    for item in evidence:
        grouped[item.mailbox_id].append(item)
    waiting: dict[int, list[Evidence]] = dict(grouped)
    outcomes: list[Outcome] = []
    for _try in range(TRIES):
        if waiting:
            done, missed = _record_once(waiting, now, diagnose)
            outcomes += done
            waiting = {key: waiting[key] for key in missed}
    if waiting:
        logger.error("evidence of %s mailboxes is dropped: others moved them three times meanwhile", len(waiting))
    return outcomes


@transaction.atomic
def _record_once(
    waiting: Mapping[int, Sequence[Evidence]], now: datetime, diagnose: Callable[[Reply], Diagnosis]
) -> tuple[list[Outcome], set[int]]:
    snapshots = load(waiting)
    board = store.open_board(now)
    decisions, changed = board.decide([(found, waiting[key]) for key, found in snapshots.items()], diagnose, now)
    missed = save(decisions, now)
    host_budget.settle(decisions, now)
    rollups.add(item for key in snapshots.keys() - missed for item in waiting[key])
    store.keep(changed, now)
    effects.follow(changed, board, now)
    return [_outcome(decision) for decision in decisions if decision.snapshot.id not in missed], missed


def _outcome(decision: Decision) -> Outcome:
    after = decision.standing
    changed = decision.snapshot.standing.state != after.state
    return Outcome(decision.snapshot.id, after.status, after.pause_reason, changed)
