"""Addresses and names out of headers and texts. The standard library's own reader recurses on nested comments."""

from __future__ import annotations

import re

from mailboxes.inbox.decoding import header_text, one_line

NAME_CHARS = 200
_READ_CHARS = 2000
_ADDRESS = re.compile(r"[^\s<>@,;:()\[\]\"'=|\\]{1,64}@[\w.-]{1,255}")
_ANGLE = re.compile(r"<([^<>]{0,320})>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.){0,500})"')
_COMMENT = re.compile(r"\(([^()]{0,500})\)")
_SERVERS = re.compile(
    r"(?:mailer[-_]?daemon|mail[-_]?daemon|mdaemon|postmaster|microsoftexchange[0-9a-f]{20,40})(?:@|$)"
    r"|mail delivery (?:sub)?system"
)


def addresses_in(text: str) -> list[str]:
    """Every address in a text, in lower case."""
    return [found.rstrip(".-_").lower() for found in _ADDRESS.findall(text)]


def address_in(text: str) -> str:
    return next(iter(addresses_in(text)), "")


def sender(value: str) -> tuple[str, str]:
    """Name and address of the first sender in a From header's raw value; "" for what is not there."""
    value = value[:_READ_CHARS]
    bare = _QUOTED.sub(lambda found: " " * len(found.group()), value)
    angle = _ANGLE.search(bare) or _ANGLE.search(value)
    if angle:
        return _name(value[: angle.start()]), address_in(angle.group(1))
    comment = _COMMENT.search(bare)
    return _name(comment.group(1) if comment else ""), address_in(_COMMENT.sub(" ", bare))


def _name(words: str) -> str:
    plain = _QUOTED.sub(lambda found: re.sub(r"\\(.)", r"\1", found.group(1)), words.strip())
    return one_line(header_text(plain).strip().strip('"'), NAME_CHARS)


def is_mail_server(value: str) -> bool:
    """Whether a From header names a mail server itself."""
    name, address = sender(value)
    return any(map(_SERVERS.match, (address, name.lower(), value.strip().lower())))
