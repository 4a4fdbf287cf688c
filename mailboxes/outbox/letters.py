"""A message's row as the bytes that go out: the same ones at every attempt."""

from __future__ import annotations

import uuid

from mailboxes.models import OutMessage
from mailboxes.wire.mime import Composition, ascii_domain, compose
from mailboxes.wire.values import Letter

LONGEST_DOMAIN = 200  # with the rest of a Message-ID it fits its column


def new_message_id(address: str) -> str:
    """Return a Message-ID at the sender's domain (RFC 5322 3.6.4). Raises BadText for what is no address."""
    domain = ascii_domain(address, "sender").rpartition("@")[2]
    return f"<{uuid.uuid4()}@{domain if len(domain) <= LONGEST_DOMAIN else '.'.join(domain.split('.')[-2:])}>"


def letter(row: OutMessage) -> Letter:
    """Return what goes on the wire for this row; its mailbox is loaded. Raises BadText, a ValueError, for an address
    that is none or a header field with a line break."""
    return compose(
        Composition(
            sender=row.mailbox.address,
            sender_name=row.mailbox.sender_name,
            recipient=row.recipient,
            subject=row.subject,
            text=row.body,
            html=row.html,
            date=row.created_at,
            message_id=row.message_id,
            in_reply_to=row.in_reply_to,
            references=row.references.split(),
            headers=row.headers,
        )
    )
