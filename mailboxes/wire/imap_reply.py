"""IMAP's bytes to replies, within limits. A check reads over literals, since nothing that it needs has one; whoever
reads mail keeps them."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from mailboxes.wire.dialogue import ProtocolFault
from mailboxes.wire.values import Limits

_LITERAL = re.compile(rb"\{(\d{1,30})\+?\}$")
_LITERAL_BYTES = 33  # what announces one, at most: the expression never sees more of a line
_CODE = re.compile(r"^\[([^\]]*)\]\s*(.*)$", re.DOTALL)
# Untagged data that something here reads; the rest (FLAGS, EXISTS, OK [UIDVALIDITY …]) is read over.
WANTED = frozenset({b"NO", b"BAD", b"BYE", b"PREAUTH", b"CAPABILITY", b"SEARCH", b"LIST"})
READING = WANTED | {b"OK", b"EXISTS", b"FETCH"}
_STATUSES = ("OK", "NO", "BAD", "BYE", "PREAUTH")


@dataclass(frozen=True, slots=True)
class ImapReply:
    """One response: tag ("*", "+" or ours), status or data word, response code without brackets, the rest."""

    tag: str
    status: str
    code: str
    text: str
    data: bytes = b""  # a FETCH response as it came, its literals in their places, where these are kept

    @property
    def codes(self) -> str:
        """Status and first word of the response code: "NO AUTHENTICATIONFAILED"."""
        return " ".join([self.status, *self.code.split()[:1]])

    @property
    def line(self) -> str:
        """The response as it came."""
        code = f"[{self.code}] " if self.code else ""
        return f"{self.tag} {self.status} {code}{self.text}".strip()


class ImapParser:
    """Bytes to responses, within limits: those that are `wanted`, with their literals where these are kept."""

    def __init__(self, limits: Limits, wanted: frozenset[bytes] = WANTED, *, keep_literals: bool = False) -> None:
        self._limits = limits
        self._wanted = wanted
        self._keep = keep_literals
        self._kept = bytearray()
        self._buffer = bytearray()
        self._line = bytearray()
        self._literal = 0
        self._size = 0
        self._greeted = False
        self._ahead: deque[ImapReply] = deque()

    @property
    def unread(self) -> bytes:
        """Bytes that belong to no response yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        self._buffer += data
        self._size += len(data)
        if self._size > self._limits.reply_bytes:
            raise ProtocolFault("REPLY_TOO_LONG", bytes(self._buffer))

    def next_reply(self) -> ImapReply | None:
        """The next whole response, or None."""
        return self._ahead.popleft() if self._ahead else self._next()

    def early(self) -> bytes:
        """A tagged response, or one that asks to go on; untagged ones may come at any time (RFC 9051 5.3)."""
        while (reply := self._next()) is not None:
            if reply.tag != "*":
                return reply.line.encode()
            self._ahead.append(reply)
        return b""

    def _next(self) -> ImapReply | None:
        while (part := self._next_line()) is not None:
            tail = part[-_LITERAL_BYTES:]
            found = _LITERAL.search(tail)
            self._line += part[: found.start() - len(tail)] if found else part
            if len(self._line) > self._limits.line_bytes:
                raise ProtocolFault("LINE_TOO_LONG", bytes(self._line))
            if self._keep:
                self._kept += part + b"\r\n"
            if found is None:
                whole, data = bytes(self._line), bytes(self._kept)
                self._line, self._kept = bytearray(), bytearray()
                if self._greeted and whole[:2] == b"* " and _kind(whole) not in self._wanted:
                    continue
                self._greeted = True
                return self._parse(whole.decode("utf-8", "replace"), data)
            self._literal = int(found.group(1))
            if self._literal > self._limits.literal_bytes:
                raise ProtocolFault("LITERAL_TOO_LONG", part)
        return None

    def _next_line(self) -> bytes | None:
        if self._literal:
            skipped = min(self._literal, len(self._buffer))
            if self._keep:
                self._kept += self._buffer[:skipped]
            del self._buffer[:skipped]
            self._literal -= skipped
            if self._literal:
                return None
        end = self._buffer.find(b"\n")
        if max(end, len(self._line) + len(self._buffer) if end < 0 else 0) > self._limits.line_bytes:
            raise ProtocolFault("LINE_TOO_LONG", bytes(self._buffer))
        if end < 0:
            return None
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    def _parse(self, line: str, data: bytes) -> ImapReply:
        tag, _, rest = line.partition(" ")
        if tag.startswith("+") and tag != "+":
            raise ProtocolFault("NOT_IMAP", line)
        if tag == "+":
            return ImapReply("+", "", "", rest)
        word, _, text = rest.partition(" ")
        if tag == "*" and word.isdigit():
            number, (word, _, words) = word, text.partition(" ")
            text = f"{number} {words}"
        status = word.upper()
        if not tag or (tag != "*" and status not in _STATUSES):
            raise ProtocolFault("NOT_IMAP", line)
        if tag != "*":
            self._size = len(self._buffer)
        found = _CODE.match(text) if status in _STATUSES else None
        code, words = (found.group(1), found.group(2)) if found else ("", text)
        return ImapReply(tag, status, code, words, data if status == "FETCH" else b"")


def _kind(line: bytes) -> bytes:
    """What an untagged response is about: its first word, or the second after a number ("* 12 FETCH")."""
    first, _, rest = line[2:].partition(b" ")
    return (rest.partition(b" ")[0] if first.isdigit() else first).upper()
