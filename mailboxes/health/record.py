"""The one door: evidence in, for one mailbox or for 500, in one transaction with a constant number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.health import alarms, rollups, tenants
from mailboxes.health.decide import Decision, Filed, decide
from mailboxes.health.evidence import Evidence
from mailboxes.health.legs import pack
from mailboxes.health.policy import Policy, next_check
from mailboxes.health.rules import diagnose as diagnose_by_rules
from mailboxes.health.snapshots import load
from mailboxes.health.transition import Move, apply_moves
from mailboxes.models import CheckState, Failure, Mailbox
from mailboxes.models.sets import update_rows
from mailboxes.states import PauseReason, Status
from mailboxes.wire.values import Leg

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
    return outcomes


@transaction.atomic
def _record_once(
    waiting: Mapping[int, Sequence[Evidence]], now: datetime, diagnose: Callable[[Reply], Diagnosis]
) -> tuple[list[Outcome], set[int]]:
    policy = Policy(disconnected_after=timedelta(hours=settings.DISCONNECTED_AFTER_HOURS))
    snapshots = load(waiting)
    decisions = [decide(found, waiting[key], diagnose, now, policy) for key, found in snapshots.items()]
    moves = [_move(decision) for decision in decisions if decision.moves]
    missed = apply_moves(moves, now)
    settled = [decision for decision in decisions if decision.snapshot.id not in missed]
    _write(settled, now)
    rollups.add(item for decision in settled for item in waiting[decision.snapshot.id])
    return [_outcome(decision) for decision in settled], missed


def _write(decisions: Sequence[Decision], now: datetime) -> None:
    """Everything but the status: memory and due times, failures, rests, our own alarms."""
    probes = tenants.probes(decisions)
    update_rows(CheckState, [_check_state(decision, now, probes) for decision in decisions])
    Failure.objects.bulk_create([_failure(filed) for decision in decisions for filed in decision.filed])
    update_rows(Mailbox, [_rest(decision) for decision in decisions if decision.resting_until])
    alarms.raise_for([(one.snapshot.oauth_client, filed) for one in decisions for filed in one.ours], now)
    tenants.wake_the_others(decisions, now)


def _move(decision: Decision) -> Move:
    before = decision.snapshot
    assert decision.last is not None
    return Move(
        mailbox_id=before.id,
        state_version=before.state_version,
        status_since=before.status_since,
        before=before.standing,
        after=decision.standing,
        source=decision.last.source,
        credential_version=decision.last.credential_version,
    )


def _check_state(decision: Decision, now: datetime, probes: frozenset[int]) -> dict[str, Any]:
    found = decision.snapshot
    due = found.next_check_at
    if decision.last is not None:
        probe, stumbled = found.id in probes, bool(decision.filed)
        due = next_check(decision.legs, now, mailbox_id=found.id, tenant_probe=probe, stumbled=stumbled)
    row: dict[str, Any] = {"pk": found.id, "next_check_at": due, "last_check_at": now, "use": decision.use}
    return row | {leg.value: pack(decision.legs[leg]) if leg in decision.legs else {} for leg in Leg}


def _rest(decision: Decision) -> dict[str, Any]:
    return {
        "pk": decision.snapshot.id,
        "resting_until": decision.resting_until,
        "resting_reason": decision.resting_reason,
    }


def _failure(filed: Filed) -> Failure:
    item, step, found = filed.evidence, filed.evidence.failure, filed.diagnosis
    assert step is not None
    return Failure(
        mailbox_id=item.mailbox_id,
        at=item.observed_at,
        begun_at=item.begun_at,
        leg=item.leg.value,
        stage=step.stage.value,
        code=step.code[:64],
        text=step.text,
        category=found.category.value,
        rule=found.rule,
        actor=found.actor.value,
        source=item.source.value,
        credential_version=item.credential_version,
        ignored=filed.ignored,
    )


def _outcome(decision: Decision) -> Outcome:
    after = decision.standing
    changed = decision.snapshot.standing.state != after.state
    return Outcome(decision.snapshot.id, after.status, after.pause_reason, changed)
