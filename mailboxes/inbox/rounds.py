"""The two rounds by which mail moves: read and take note; take note, choose and send. Each is safe to run twice, and
side by side with itself."""

from __future__ import annotations

from datetime import datetime

from mailboxes.health.outgoing import Outgoing
from mailboxes.inbox import plugs, visiting
from mailboxes.outbox import claim, sending


def read_round(limit: int, outgoing: Outgoing) -> int:
    """Read a batch of what is due. Returns how many mailboxes were read."""
    done = visiting.read_due(limit, outgoing)
    plugs.take(outgoing.clock())
    return done


def send_round(limit: int, outgoing: Outgoing) -> int:
    """Take note of all that has arrived, so that nobody who answered is written to; then choose and send a batch.
    Returns how many messages were claimed."""
    plugs.take(outgoing.clock())
    plugs.choose(limit, outgoing.clock())
    done = sending.send_due(limit, outgoing)
    plugs.take(outgoing.clock())
    return done


def has_mail_to_send(now: datetime) -> bool:
    """True where something may be sent, chosen, or is to be recovered."""
    return claim.waiting(now).exists() or claim.abandoned(now).exists() or plugs.is_waiting(now)
