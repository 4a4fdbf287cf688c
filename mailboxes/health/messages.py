"""The test message that a mailbox sends to itself, on request."""

from __future__ import annotations

import uuid
from email.message import EmailMessage
from email.utils import format_datetime

from django.utils import timezone

from mailboxes.health.targets import Subject
from mailboxes.wire.values import Letter


def to_itself(subject: Subject) -> Letter:
    """A short, plain message from the mailbox to the mailbox, to be found again by its Message-ID."""
    domain = subject.address.rpartition("@")[2]
    message = EmailMessage()
    message["From"] = message["To"] = subject.address
    message["Subject"] = "Postmend connection test"
    message["Date"] = format_datetime(timezone.now())
    message["Message-ID"] = message_id = f"<{uuid.uuid4()}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("This mailbox was tested by sending a message to itself. It may be deleted.\n")
    return Letter(subject.address, subject.address, message_id, message.as_bytes())
