"""The signed header by which our own mail is known again (SPEC M4, W1). It names the message and binds it to its
recipient, so that nobody can have other mail taken for ours by copying it."""

from __future__ import annotations

from django.core.signing import BadSignature, Signer

HEADER = "X-Postmend"


def mark(message_id: str, recipient: str) -> str:
    """Return the header's value for this message to this recipient: its Message-ID, and a signature."""
    return f"{message_id} {_signer().signature(_bound(message_id, recipient))}"


def named(value: str) -> str:
    """Return the Message-ID that a mark names, whoever wrote it; "" where it names none."""
    message_id, _, signature = value.strip().partition(" ")
    return message_id if signature and message_id.startswith("<") else ""


def is_ours(value: str, message_id: str, recipient: str) -> bool:
    """Return whether we signed this message to this recipient. Marks of earlier versions name no message."""
    signer = _signer()
    signature = value.rpartition(" ")[2]
    try:
        signer.unsign(f"{_bound(message_id, recipient)}{signer.sep}{signature}")
    except BadSignature:
        return False
    return named(value) in ("", message_id)


def _signer() -> Signer:
    return Signer(salt="postmend.warmup")  # as it was before all mail was signed: what is under way stays known


def _bound(message_id: str, recipient: str) -> str:
    return f"{message_id} {recipient.lower()}"
