"""A message's row as the bytes that go out: the same ones at every attempt."""

from __future__ import annotations

import uuid
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from mailboxes.models import OutMessage
from mailboxes.wire.addresses import Refused, normal_host
from mailboxes.wire.values import Letter

LONGEST_DOMAIN = 200  # with the rest of a Message-ID it fits its column
_POLICY = SMTP.clone(max_line_length=120)


def new_message_id(address: str) -> str:
    """A Message-ID at the sender's domain (RFC 5322 3.6.4)."""
    domain = _ascii(address).rpartition("@")[2]
    return f"<{uuid.uuid4()}@{domain if len(domain) <= LONGEST_DOMAIN else '.'.join(domain.split('.')[-2:])}>"


def _ascii(address: str) -> str:
    """The address with its domain as mail servers know it (IDNA). Raises ValueError for a domain that is none."""
    name, _, domain = address.rpartition("@")
    try:
        return address if domain.isascii() else f"{name}@{normal_host(domain)}"
    except Refused as refused:
        raise ValueError(str(refused)) from None


def letter(row: OutMessage) -> Letter:
    """What goes on the wire for this row; its mailbox is loaded. Raises ValueError for a header with a line break."""
    sender = _ascii(row.mailbox.address)
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(row.mailbox.sender_name, addr_spec=sender)
    message["To"] = Address(addr_spec=row.recipient)
    message["Subject"] = row.subject
    message["Date"] = format_datetime(row.created_at)
    message["Message-ID"] = row.message_id
    for name, value in (("In-Reply-To", row.in_reply_to), ("References", row.references)):
        if value:
            message[name] = value
    for name, value in row.headers.items():
        message[name] = value
    message.set_content(row.body)
    if row.html:
        message.add_alternative(row.html, subtype="html")
    return Letter(sender, row.recipient, row.message_id, message.as_bytes())
