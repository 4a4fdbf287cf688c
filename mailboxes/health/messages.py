"""The test message that a mailbox sends to itself, on request."""

from __future__ import annotations

import uuid

from django.utils import timezone

from mailboxes.health.targets import Subject
from mailboxes.wire.mime import Composition, ascii_domain, compose
from mailboxes.wire.values import Letter

WORDS = "This mailbox was tested by sending a message to itself. It may be deleted.\n"


def to_itself(subject: Subject) -> Letter:
    """Return a short, plain message from the mailbox to the mailbox, to be found again by its Message-ID. Raises
    BadText for what is no address."""
    domain = ascii_domain(subject.address, "address").rpartition("@")[2]
    return compose(
        Composition(
            sender=subject.address,
            recipient=subject.address,
            subject="Postmend connection test",
            text=WORDS,
            date=timezone.now(),
            message_id=f"<{uuid.uuid4()}@{domain}>",
            headers={"Auto-Submitted": "auto-generated"},
        )
    )
