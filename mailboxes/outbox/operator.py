"""The operator's own mail: invitations, recovery, codes. Django's SMTP transport, with the builder of all our mail."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from email.utils import parseaddr

from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends import smtp
from django.utils import timezone

from mailboxes.wire.clean import BadText
from mailboxes.wire.mime import Composition, ascii_domain, compose
from mailboxes.wire.values import Letter

_OUR_OWN = ("from", "to", "subject", "date", "message-id")


class EmailBackend(smtp.EmailBackend):
    """Django composes with 8-bit bodies, whatever the server offers (RFC 6152); this one does not."""

    def _send(self, email_message: EmailMessage) -> bool:
        """Send one message to each recipient; `send_messages` calls this with an open connection. Raises SMTPException
        and BadText."""
        if email_message.attachments:
            raise BadText("attachments: Postmend's own mail has none, so nothing was sent.")
        assert self.connection is not None
        for letter in letters(email_message):
            options = ("SMTPUTF8", "BODY=8BITMIME") if letter.needs_utf8 else ()
            self.connection.sendmail(letter.sender, [letter.recipient], letter.body, mail_options=options)
        return bool(email_message.recipients())


def letters(message: EmailMessage) -> Iterator[Letter]:
    """Return a message of Django's as what goes on the wire, one for each recipient. Raises BadText, which names the
    field, for an address that is none and for a line break in a header field."""
    name, sender = parseaddr(message.from_email)
    domain = ascii_domain(sender, "sender").rpartition("@")[2]
    headers = {key: str(value) for key, value in message.extra_headers.items() if key.lower() not in _OUR_OWN}
    for recipient in message.recipients():
        yield compose(
            Composition(
                sender=sender,
                sender_name=name,
                recipient=parseaddr(recipient)[1],
                subject=str(message.subject),
                text=str(message.body),
                html=_page(message),
                date=timezone.now(),
                message_id=f"<{uuid.uuid4()}@{domain}>",
                headers={"Auto-Submitted": "auto-generated", **headers},
            )
        )


def _page(message: EmailMessage) -> str:
    pages = message.alternatives if isinstance(message, EmailMultiAlternatives) else []
    return next((str(content) for content, kind in pages if kind == "text/html"), "")
