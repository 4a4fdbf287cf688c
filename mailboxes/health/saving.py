"""Decisions written: status changes, the legs' memory and due times, failures, rests. In the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mailboxes.health import alarms, tenants
from mailboxes.health.decide import Decision, Filed
from mailboxes.health.flapping import ASKED_FOR
from mailboxes.health.legs import pack
from mailboxes.health.numbers import in_force
from mailboxes.health.policy import is_held
from mailboxes.health.schedule import Round, next_check
from mailboxes.health.transition import Move, apply_moves
from mailboxes.models import CheckState, Failure, Mailbox
from mailboxes.models.sets import update_rows
from mailboxes.wire.values import Leg


def save(decisions: Sequence[Decision], now: datetime) -> set[int]:
    """Write the decisions. Returns the mailboxes that another worker moved first: nothing of them is written."""
    missed = apply_moves([_move(decision) for decision in decisions if decision.moves], now)
    settled = [decision for decision in decisions if decision.snapshot.id not in missed]
    probes = tenants.probes(settled)
    update_rows(CheckState, [_check_state(decision, now, probes) for decision in settled])
    Failure.objects.bulk_create([_failure(filed) for decision in settled for filed in decision.filed])
    update_rows(Mailbox, [_rest(decision) for decision in settled if decision.resting_until])
    update_rows(Mailbox, [_throttled(decision) for decision in settled if decision.throttled_until])
    alarms.raise_for(settled, now)
    if any(decision.capped for decision in settled):
        alarms.tell_of_cap(sum(decision.capped and decision.last is not None for decision in settled), now)
    tenants.wake_the_others(settled, now)
    return missed


def _move(decision: Decision) -> Move:
    before, last = decision.snapshot, decision.last
    source = last.source if last is not None else decision.why
    return Move(
        mailbox_id=before.id,
        state_version=before.state_version,
        status_since=before.status_since,
        before=before.standing,
        after=decision.standing,
        source=source,
        credential_version=last.credential_version if last is not None else before.credential_version,
        apart=source in ASKED_FOR or _is_explained(decision),
    )


def _is_explained(decision: Decision) -> bool:
    """Whether an incident holds a leg of it, before or after."""
    states = [*decision.snapshot.legs.items(), *decision.legs.items()]
    return any(is_held(state, leg, decision.holds) for leg, state in states)


def _check_state(decision: Decision, now: datetime, probes: frozenset[int]) -> dict[str, Any]:
    found = decision.snapshot
    due = found.next_check_at
    if decision.last is not None or decision.moves:
        due = next_check(decision.legs, _round(decision, now, is_probe=found.id in probes))
    tried_at = now if decision.evidence else found.last_check_at
    row: dict[str, Any] = {"pk": found.id, "next_check_at": due, "last_check_at": tried_at, "use": decision.use}
    row["flag_waits"] = decision.capped
    return row | {leg.value: pack(decision.legs[leg]) if leg in decision.legs else {} for leg in Leg}


def _round(decision: Decision, now: datetime, *, is_probe: bool) -> Round:
    found = decision.snapshot
    return Round(
        now=now,
        mailbox_id=found.id,
        one_login=found.one_login,
        tenant_probe=is_probe,
        begun_at=decision.last.begun_at if decision.last is not None else None,
        throttled_until=decision.throttled_until or found.throttled_until,
        stumbled=bool(decision.filed),
        capped=decision.capped,
        holds=decision.holds,
        numbers=in_force(),
    )


def _throttled(decision: Decision) -> dict[str, Any]:
    return {"pk": decision.snapshot.id, "throttled_until": decision.throttled_until}


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
