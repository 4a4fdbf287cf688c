"""Words from a stranger's server, made fit to keep and show (FACTS D13, SPEC D4, S1, S3)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from mailboxes.wire.masking import MASK, mask

KEPT_CHARS = 500
_TOKENS = re.compile(
    r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{8,}|\bya29\.[\w.-]+|\beyJ[\w-]{10,}(?:\.[\w-]*){0,2}|\b1//[\w-]{10,}"
)
# Sign-in links carry tokens in their query; short values (?p=WebLoginRequired) tell the cause and stay.
_LINK_TOKEN = re.compile(r"([?&](?:plt|token|code|state|sig)=|[?&]\w+=(?=[^&\s<>]{25}))[^&\s<>]+")


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc


class BadText(ValueError):
    """A credential, host or folder holds a character that no mail server must see."""


def clean(text: str | bytes, secrets: Iterable[str] = ()) -> str:
    """Return `text` without secrets and control characters, at most 500 characters.

    Lines are joined by a newline. What is known is masked first, as it came: a secret that was cleaned or cut before
    would not be found any more (findings SEC-20, SRV-11). Then what looks like a token, also in links.
    """
    words = "\n".join(_printable(line).rstrip() for line in mask(text, secrets).splitlines())
    words = _TOKENS.sub(lambda found: (found.group(1) or "") + MASK, words)
    words = _LINK_TOKEN.sub(rf"\1{MASK}", words)
    return words if len(words) <= KEPT_CHARS else words[: KEPT_CHARS - 1] + "…"


def refuse_control(value: str, field: str) -> str:
    """Return `value`, or raise BadText where it holds CR, LF, NUL or another control character (SPEC S3)."""
    if _CONTROL.search(value):
        raise BadText(f"{field} holds a control character or a line break: remove it and type the value again.")
    return value


def refuse_path(value: str, field: str) -> str:
    """Return an address that may stand between < and > in MAIL and RCPT, or raise BadText (RFC 5321 4.1.2)."""
    if set(refuse_control(value, field)) & set("<> "):
        raise BadText(f"{field} holds a space or an angle bracket: type the plain address, as in me@example.com.")
    return value


def _printable(line: str) -> str:
    return "".join(char if unicodedata.category(char)[0] != "C" else " " for char in line)
