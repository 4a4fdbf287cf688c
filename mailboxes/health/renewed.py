"""A mailbox with a new credential or new settings: not verified, its legs' memory gone, due at once (H7, R4)."""

from __future__ import annotations

from datetime import datetime

from mailboxes.health import tenants
from mailboxes.health.policy import Standing
from mailboxes.health.snapshots import load
from mailboxes.health.transition import Move, apply_moves
from mailboxes.models import CheckState, InboxState, Pace
from mailboxes.states import Source, Status


class Busy(Exception):
    """Another worker moves the mailbox at this moment, or it was removed: try again."""


def start_over(mailbox_id: int, *, now: datetime) -> None:
    """Inside the caller's transaction, after the credential or the settings were written. Raises Busy."""
    CheckState.objects.get_or_create(mailbox_id=mailbox_id, defaults={"next_check_at": now})
    # Not read before it is connected: the change of status makes it due.
    InboxState.objects.get_or_create(mailbox_id=mailbox_id, defaults={"next_read_at": None})
    Pace.objects.get_or_create(mailbox_id=mailbox_id, defaults={"next_send_at": now})
    found = load([mailbox_id]).get(mailbox_id)
    if found is None:
        raise Busy("The mailbox was removed at this moment.")
    after = Standing(Status.UNVERIFIED)
    CheckState.objects.filter(mailbox_id=mailbox_id).update(next_check_at=now, smtp={}, imap={}, oauth={})
    if found.standing == after:
        return
    move = Move(
        mailbox_id=mailbox_id,
        state_version=found.state_version,
        status_since=found.status_since,
        before=found.standing,
        after=after,
        source=Source.NEW_CREDENTIAL,
        credential_version=found.credential_version,
        apart=True,
    )
    if apply_moves([move], now):
        raise Busy("The mailbox is being changed by a check at this moment: save again.")
    if found.standing.cause.category == tenants.OFF:
        tenants.wake({found.tenant}, now)
