"""The parts of a message, as the standard library finds them, with a bound on everything that a stranger chooses."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesFeedParser
from email.policy import Compat32
from typing import Any

from mailboxes.inbox.decoding import fit, guess, quote_raw_words, raw_bytes, unbase64

READ_BYTES = 512 * 1024
_STEP = 8192
_BOUNDARY = re.compile(rb'(?i)boundary="?([^"\s;]{1,70})')
_APART = b"-apart"
MOST_PARTS = 100
MOST_DEPTH = 8
MOST_HEADERS = 500
HEADER_CHARS = 8192
TYPE_CHARS = 1000
LEAF_CHARS = 400_000


class _Bounded(Compat32):
    """Keeps header values as they came, and no more of them than is read."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        # The standard library takes parameters apart in quadratic time.
        return name, value[: TYPE_CHARS if name.lower().startswith("content-") else HEADER_CHARS]

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value


_POLICY = _Bounded()


class Part(Message):
    """A part that leaves out what lies too deep or comes after too many others."""

    depth = 0
    found = 0
    written = ""

    def __init__(self) -> None:
        super().__init__(policy=_POLICY)
        self.top = self
        self.inside: list[Part] = []

    def attach(self, payload: Message | str) -> None:
        """The parser calls this before it reads what is in `payload`."""
        assert isinstance(payload, Part)
        payload.depth, payload.top = self.depth + 1, self.top
        self.top.found += 1
        if self.top.found > MOST_PARTS:
            payload.depth = MOST_DEPTH
        else:
            self.inside.append(payload)
            super().attach(payload)

    def set_payload(self, payload: Any, charset: Any = None) -> None:
        """Keep the text: `get_payload` hands it out in whatever character set a stranger names."""
        super().set_payload(payload, charset)
        self.written = payload if isinstance(payload, str) else ""

    def set_raw(self, name: str, value: str) -> None:
        if len(self) < MOST_HEADERS:
            super().set_raw(name, value)

    def get_content_type(self) -> str:
        found = super().get_content_type()
        nests = found.startswith(("multipart/", "message/"))
        return "application/octet-stream" if nests and self.depth >= MOST_DEPTH else found

    def get_boundary(self, failobj: object = None) -> str | None:  # type: ignore[override]  # the parser's own call
        """The standard library's raises for a boundary in an unknown character set."""
        return param(self, "boundary").rstrip() or None


def tree(raw: bytes) -> Part:
    """The message in `raw`, which may be cut anywhere. Nothing is read after the last part that counts."""
    made: list[Part] = []

    def make() -> Part:
        made.append(Part())
        return made[-1]

    raw = _tell_apart(raw[:READ_BYTES])
    parser = BytesFeedParser(make, policy=_POLICY)
    for start in range(0, min(len(raw), READ_BYTES), _STEP):
        parser.feed(raw[start : min(start + _STEP, READ_BYTES)])
        if made[0].found > MOST_PARTS:
            break
    parser.close()
    return made[0]


def _tell_apart(raw: bytes) -> bytes:
    """Give another name to a boundary "b--" beside a "b": its delimiter reads as the end of the other's parts, and what
    is inside would be lost. RFC 2046 5.1.2 forbids it, and programs do it."""
    names = list(dict.fromkeys(_BOUNDARY.findall(raw)))[:MOST_PARTS]
    for name in names:
        if name.endswith(b"--") and name[:-2] in names:
            end = raw.find(b"\n--" + name + b"--")
            inside, rest = (raw[:end], raw[end:]) if end >= 0 else (raw, b"")
            inside = delimiter(name).sub(rb"\g<0>" + _APART, inside)
            rest = rest.replace(b"\n--" + name, b"\n--" + name + _APART, 1)
            raw = parameter(name).sub(rb"\g<0>" + _APART, inside + rest)
    return raw


def parameter(name: bytes) -> re.Pattern[bytes]:
    """Return what finds this boundary in a Content-Type."""
    return re.compile(rb'(?i)boundary="?%b(?=["\s;])' % re.escape(name))


def delimiter(name: bytes) -> re.Pattern[bytes]:
    """Return what finds the line that begins a part of this boundary (RFC 2046 5.1.1)."""
    return re.compile(rb"\n--%b(?=[ \t]{0,20}\r?(?:\n|\Z))" % re.escape(name))


def parts(message: Part) -> Iterator[Part]:
    """The message and its parts, outermost and first ones first; not the parts of a message attached to it."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        yield part
        if part.get_content_maintype() == "multipart":
            waiting += reversed(part.inside)


def header(message: Message, name: str) -> str:
    """The first header of that name, unfolded, not decoded; "" where there is none."""
    value = str(message.get(name, ""))[:HEADER_CHARS]
    raw = quote_raw_words(raw_bytes(value.replace("\r", "").replace("\n", "")))
    return fit(guess(raw)).replace("\n", " ").strip()


def param(message: Message, name: str, of: str = "content-type") -> str:
    """A parameter of a header; "" where there is none."""
    try:
        found = message.get_param(name, "", of)
    except (TypeError, ValueError):  # a parameter in pieces that are numbered wrongly
        return ""
    return str(found[2] if isinstance(found, tuple) else found)


def body(part: Part, encoding: str = "") -> bytes:
    """What a part without parts holds, decoded by its own transfer encoding or the given one."""
    raw = raw_bytes(part.written[:LEAF_CHARS])
    encoding = (encoding or header(part, "Content-Transfer-Encoding")).lower()
    if encoding.startswith("base64"):
        return unbase64(raw)
    return binascii.a2b_qp(raw) if encoding.startswith("quoted-printable") else raw
