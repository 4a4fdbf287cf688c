"""A server that speaks plain text where TLS is expected: its words, and what they mean (RFC 8314 3; SRV-6). Pure."""

from __future__ import annotations

import re

from mailboxes.wire.values import Leg

CODE = "PLAINTEXT_ON_TLS_PORT"
_RECORDS = b"\x14\x15\x16\x17"  # with these a record of TLS begins (RFC 8446 5.1)
_PRINTABLE = bytes({*range(32, 127), *range(128, 256), *b"\t\r\n"})
_REFUSALS = {
    Leg.SMTP: re.compile(r"([45][0-9]{2})[ -]"),
    Leg.IMAP: re.compile(r"\* (BYE|NO|BAD)\b", re.IGNORECASE),
}


def is_tls(raw: bytes) -> bool:
    """Return whether a server's first bytes are a record of TLS."""
    return raw[:1] != b"" and raw[:1] in _RECORDS


def words_in(raw: bytes) -> bytes:
    """Return what a server said in place of its part of a handshake; nothing where that is TLS, or no text."""
    is_text = bool(raw.strip()) and not is_tls(raw) and not raw.translate(None, _PRINTABLE)
    return raw.strip() if is_text else b""


def refusal_in(words: bytes, leg: Leg) -> str:
    """Return the code of a refusal in this leg's protocol, such as "421" or "BYE"; "" where the words are none.

    Exim says in plain text that it has too many connections, whatever the port.
    """
    form = _REFUSALS.get(leg)
    found = form.match(words.decode("latin-1")) if form else None
    return found.group(1).upper() if found else ""


def explained(words: bytes) -> bytes:
    """Return the words with what they mean for whoever chose the port."""
    return (
        b"The port speaks plain text, and TLS was expected at once: use STARTTLS here, or the port for SSL/TLS."
        b" The server said: " + words
    )
