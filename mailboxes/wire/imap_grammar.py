"""FETCH responses by IMAP's own grammar (RFC 9051 and RFC 3501, section 9: msg-att): atoms, quoted strings, literals,
lists and NIL. One pass over the bytes; what is no FETCH response raises NotFetch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

MOST_DEPTH = 20
MOST_VALUES = 20_000  # in one response; one message's flags and parts are far below it
# An atom or number is text, a quoted string or literal is bytes, NIL is None, a list is a tuple.
Value: TypeAlias = "str | bytes | tuple[Value, ...] | None"
Items: TypeAlias = dict[str, Value]

_START = re.compile(rb"\* 0*(\d{1,10}) +FETCH +(?=\()", re.IGNORECASE)
_BLANKS = re.compile(rb" *")
_ATOM = re.compile(rb'[^\x00-\x20\x7f(){"]+')
_QUOTED = re.compile(rb'"([^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*)"')
_ESCAPED = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"~?\{(\d{1,12})\+?\}\r?\n")
# An item's name; a section may hold a list of header names: BODY[HEADER.FIELDS ("DATE")]<0> (RFC 9051, msg-att-static).
_NAME = re.compile(rb'[^\x00-\x20\x7f()\[\]{"<>]+(?:\[[^\]\r\n]*\](?:<\d{1,12}>)?)?')


class NotFetch(ValueError):
    """The bytes are no FETCH response, or more of one than anybody needs."""


class _Scanner:
    """Reads values one after the other; `at` is the place of the next byte."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._left = MOST_VALUES

    def items(self) -> Items:
        """The response's list of names and values. A name that comes twice has its last value."""
        self._at += 1
        found: Items = {}
        while not self._closes():
            name = self._match(_NAME).group().decode("latin-1").upper()
            self._skip_blanks()
            found[name] = self._value(1)
        if self._data[self._at :].strip():
            raise NotFetch("more bytes after the list")
        return found

    def _value(self, depth: int) -> Value:
        self._left -= 1
        if self._left < 0 or depth > MOST_DEPTH:
            raise NotFetch("too many values, or too deep")
        head = self._data[self._at : self._at + 1]
        if head == b"(":
            return self._list(depth)
        if head == b'"':
            return _ESCAPED.sub(rb"\1", self._match(_QUOTED).group(1))
        if head in (b"{", b"~") and (opened := _LITERAL.match(self._data, self._at)):
            return self._octets(opened)
        word = self._match(_ATOM).group().decode("latin-1")
        return None if word.upper() == "NIL" else word

    def _list(self, depth: int) -> Value:
        self._at += 1
        inside = []
        while not self._closes():
            inside.append(self._value(depth + 1))
        return tuple(inside)

    def _octets(self, opened: re.Match[bytes]) -> bytes:
        start, size = opened.end(), int(opened.group(1))
        self._at = start + size
        if self._at > len(self._data):
            raise NotFetch("a literal without its bytes")
        return self._data[start : self._at]

    def _closes(self) -> bool:
        """Read over blanks; True, and past it, where the list ends here."""
        self._skip_blanks()
        ends = self._data[self._at : self._at + 1] == b")"
        self._at += ends
        return ends

    def _skip_blanks(self) -> None:
        self._at = self._match(_BLANKS).end()

    def _match(self, expected: re.Pattern[bytes]) -> re.Match[bytes]:
        found = expected.match(self._data, self._at)
        if found is None:
            raise NotFetch(f"unexpected byte at {self._at}")
        self._at = found.end()
        return found


def parse_fetch(data: bytes) -> Items:
    """Return the items of one untagged FETCH response, names in upper case.

    `data` is the whole response with its literals in their places. Raises NotFetch.
    """
    start = _START.match(data)
    if start is None:
        raise NotFetch("no FETCH response")
    return _Scanner(data, start.end()).items()


def merge_by_uid(responses: Iterable[bytes]) -> dict[int, Items]:
    """Return all items of each UID: a server may spread them over several responses (RFC 9051, 7.5.2).

    A response without UID, as servers send unasked when another client sets a flag, and one that cannot be read are
    left out: nobody can say which message they are about.
    """
    merged: dict[int, Items] = {}
    for data in responses:
        try:
            items = parse_fetch(data)
        except NotFetch:
            continue
        if uid := number(items, "UID"):
            merged.setdefault(uid, {}).update(items)
    return merged


def number(items: Items, name: str) -> int:
    """Return the item as a number; 0 where it is none."""
    value = items.get(name)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12 else 0


def flags(items: Items) -> frozenset[str]:
    """Return the message's flags in lower case."""
    value = items.get("FLAGS")
    return frozenset(one.lower() for one in value if isinstance(one, str)) if isinstance(value, tuple) else frozenset()


def body(items: Items) -> bytes:
    """Return the message's first bytes: BODY[] from its beginning, asked for in whole or by a part of it."""
    found = (items.get(name) for name in ("BODY[]<0>", "BODY[]"))
    return next((value for value in found if isinstance(value, bytes) and value), b"")
