"""The mail with the code: plain words, no link, and a header by which we know it again (SPEC C10)."""

from __future__ import annotations

import uuid

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from mailboxes.outbox import marks
from mailboxes.ownership.confirming import TOKEN_PREFIX


def new_token() -> str:
    """Return a name for the signed header; nobody else has made it up."""
    return f"{TOKEN_PREFIX}{uuid.uuid4()}@postmend>"


def message(address: str, workspace: str, code: str, token: str) -> EmailMessage:
    """Return the mail to this address, for a mailbox of this workspace."""
    words = render_to_string(
        "pages/code_mail.txt", {"address": address, "workspace": _no_link(workspace), "code": code}
    )
    headers = {marks.HEADER: marks.mark(token, address), "Auto-Submitted": "auto-generated"}
    return EmailMessage("Confirm this mailbox on Postmend", words, None, [address], headers=headers)


def _no_link(name: str) -> str:
    """A workspace's name is its owner's: no mail program must make a link of it, and no line break end the sentence."""
    return " ".join(name.replace("://", " ").replace(".", " ").replace("@", " ").split())[:100]
