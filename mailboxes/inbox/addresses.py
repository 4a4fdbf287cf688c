"""Addresses and names out of headers and texts. The standard library's own reader recurses on nested comments."""

from __future__ import annotations

import re

from mailboxes.inbox.decoding import header_text, one_line

NAME_CHARS = 200
_READ_CHARS = 2000
_ADDRESS = re.compile(r"[^\s<>@,;:()\[\]\"'=|\\]{1,64}@[\w.-]{1,255}")
_ANGLE = re.compile(r"<([^<>]{0,320})>")
_ESCAPED = re.compile(r"\\(.)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.){0,500})"')
_QUOTED_ADDRESS = re.compile(r'"((?:[^"\\]|\\.){1,64})"@([\w.-]{1,255})')
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
    text, comment = _without_comments(value)
    bare = _QUOTED.sub(lambda found: " " * len(found.group()), text)
    angle = _ANGLE.search(bare) or _ANGLE.search(value)
    if angle:
        inside = text[angle.start(1) : angle.end(1)]
        return _name(value[: angle.start()]), _address(inside if '"' in inside else "".join(inside.split()))
    return _name(comment), _address(" ".join(text.split()).replace(" @", "@").replace("@ ", "@"))


def _without_comments(value: str) -> tuple[str, str]:
    """The value with spaces for its comments, which may nest (RFC 5322 3.2.2), and the first comment. One that does not
    end is none."""
    spans: list[tuple[int, int]] = []
    at = start = depth = 0
    while at < len(value):
        char = value[at]
        if char == "\\":
            at += 1
        elif char == '"' and not depth and (quoted := _QUOTED.match(value, at)):
            at = quoted.end() - 1
        elif char == "(":
            start, depth = (start if depth else at), depth + 1
        elif char == ")" and depth:
            depth -= 1
            spans += [] if depth else [(start, at + 1)]
        at += 1
    comment = value[spans[0][0] + 1 : spans[0][1] - 1] if spans else ""
    kept, done = [], 0
    for begin, end in spans:
        kept += [value[done:begin], " " * (end - begin)]
        done = end
    return "".join([*kept, value[done:]]), comment


def _address(text: str) -> str:
    """The first address in a text. A quoted local part loses its quotes where it needs none."""
    quoted = _QUOTED_ADDRESS.search(text)
    if quoted is None or address_in(text[: quoted.start()]):
        return address_in(text)
    local = _ESCAPED.sub(r"\1", quoted.group(1))
    domain = quoted.group(2).rstrip(".-_")
    plain = _ADDRESS.fullmatch(f"{local}@{domain}")
    return (plain.group() if plain else f'"{quoted.group(1)}"@{domain}').lower()


def _name(words: str) -> str:
    plain = _QUOTED.sub(lambda found: _ESCAPED.sub(r"\1", found.group(1)), words.strip())
    return one_line(header_text(plain).strip().strip('"'), NAME_CHARS)


def is_mail_server(value: str) -> bool:
    """Whether a From header names a mail server itself."""
    name, address = sender(value)
    return any(map(_SERVERS.match, (address, name.lower(), value.strip().lower())))
