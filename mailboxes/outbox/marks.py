"""The signed header by which our own warm-up mail is known again. It binds the message to its recipient, so that nobody
can have other mail taken for ours by copying it."""

from __future__ import annotations

from django.core.signing import BadSignature, Signer

HEADER = "X-Postmend"


def mark(message_id: str, recipient: str) -> str:
    """The header's value for this message to this recipient."""
    return _signer().signature(_bound(message_id, recipient))


def is_ours(value: str, message_id: str, recipient: str) -> bool:
    """True where we signed this message to this recipient."""
    signer = _signer()
    try:
        signer.unsign(f"{_bound(message_id, recipient)}{signer.sep}{value}")
    except BadSignature:
        return False
    return True


def _signer() -> Signer:
    return Signer(salt="postmend.warmup")


def _bound(message_id: str, recipient: str) -> str:
    return f"{message_id} {recipient.lower()}"
