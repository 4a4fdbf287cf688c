"""The only writer of a mailbox's status: compare-and-set, with its row in the same transaction (H8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailboxes.health import flapping
from mailboxes.health.numbers import in_force
from mailboxes.health.policy import Standing
from mailboxes.models import InboxState, Mailbox, StatusChange
from mailboxes.models.sets import WAS, update_rows
from mailboxes.states import Source, Status


@dataclass(frozen=True, slots=True)
class Move:
    """One mailbox from one state to the next. Where only the cause changes, no row is added.

    `apart`: inside an incident or asked for by a person, so that it is no sign of flapping (H12).
    """

    mailbox_id: int
    state_version: int
    status_since: datetime
    before: Standing
    after: Standing
    source: Source
    credential_version: int
    apart: bool = False

    @property
    def is_change(self) -> bool:
        """True where status or pause reason changes."""
        return self.before.state != self.after.state


def apply_moves(moves: Sequence[Move], now: datetime) -> set[int]:
    """Write the moves inside the caller's transaction. Returns the mailboxes that another worker moved first:
    nothing of them is written, and the caller reloads and decides again."""
    changes = [move for move in moves if move.is_change]
    causes = [move for move in moves if not move.is_change]
    written = update_rows(Mailbox, [_changed(move, now) for move in changes], expect=("state_version", "status"))
    written |= update_rows(Mailbox, [_same(move) for move in causes], expect=("state_version", "status"))
    changed = [move for move in changes if move.mailbox_id in written]
    StatusChange.objects.bulk_create([_row(move, now) for move in changed])
    flapping.note([move.mailbox_id for move in changed], now, in_force())
    back = [move.mailbox_id for move in changes if move.after.status is Status.CONNECTED]
    if back:  # what arrived in the gap is read first (R5)
        InboxState.objects.filter(mailbox_id__in=back).update(next_read_at=now)
    return {move.mailbox_id for move in moves} - written


def _same(move: Move) -> dict[str, Any]:
    after = move.after
    return {
        "pk": move.mailbox_id,
        WAS + "state_version": move.state_version,
        WAS + "status": move.before.status.value,
        "auth_failure_open": after.auth_failure_open,
        "settings_fault": after.settings_fault,
        "category": after.cause.category,
        "actor": after.cause.actor,
        "cause_leg": after.cause.leg,
        "cause_stage": after.cause.stage,
        "cause_rule": after.cause.rule,
        "cause_text": after.cause.text,
    }


def _changed(move: Move, now: datetime) -> dict[str, Any]:
    before, after = move.before, move.after
    return _same(move) | {
        "status": after.status.value,
        "pause_reason": after.pause_reason.value,
        "state_version": move.state_version + 1,
        "status_since": move.status_since if before.status is after.status else now,
    }


def _row(move: Move, now: datetime) -> StatusChange:
    before, after = move.before, move.after
    return StatusChange(
        mailbox_id=move.mailbox_id,
        number=move.state_version + 1,
        at=now,
        from_status=before.status.value,
        to_status=after.status.value,
        from_reason=before.pause_reason.value,
        to_reason=after.pause_reason.value,
        category=after.cause.category,
        leg=after.cause.leg,
        stage=after.cause.stage,
        rule=after.cause.rule,
        text=after.cause.text,
        source=move.source.value,
        apart=move.apart,
        credential_version=move.credential_version,
    )
