"""SEARCH: a test for messages from the words of its criteria, all of which must be met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date

from mailboxes.sandbox.folders import SEEN, Message
from mailboxes.sandbox.imap_words import Refused, Word, day, number_set
from mailboxes.sandbox.open_folder import OpenFolder

Test = Callable[[int, Message], bool]


def search_test(words: Sequence[Word], folder: OpenFolder) -> Test:
    """True for sequence number and message where every criterion is met. Refused for one that is not known."""
    rest = list(words)
    tests = []
    while rest:
        tests.append(_next_test(rest, folder))
    return lambda number, message: all(test(number, message) for test in tests)


def _next_test(rest: list[Word], folder: OpenFolder) -> Test:
    """The first criterion, taken off the words."""
    word = rest.pop(0) if rest else "a criterion"
    if isinstance(word, list):
        return search_test(word, folder)
    key = word.upper()
    if key == "ALL":
        return lambda _number, _message: True
    if key == "CHARSET":
        _text(rest)
        return lambda _number, _message: True
    if key in ("SEEN", "UNSEEN"):
        return lambda _number, message: (SEEN in message.flags) == (key == "SEEN")
    if key in ("SINCE", "BEFORE"):
        limit = day(_text(rest))
        return lambda _number, message: (_arrival(message) >= limit) == (key == "SINCE")
    if key == "OR":
        one, other = _next_test(rest, folder), _next_test(rest, folder)
        return lambda number, message: one(number, message) or other(number, message)
    if key == "HEADER":
        return _header_test(_text(rest), _text(rest).lower())
    if key == "UID":
        in_set = number_set(_text(rest), max((one.uid for one in folder.view), default=0))
        return lambda _number, message: in_set(message.uid)
    return _sequence_test(key, folder)


def _arrival(message: Message) -> date:
    return message.internal_date.astimezone(UTC).date()


def _header_test(name: str, wanted: str) -> Test:
    return lambda _number, message: (value := message.header(name)) is not None and wanted in value.lower()


def _sequence_test(key: str, folder: OpenFolder) -> Test:
    in_set = number_set(key, len(folder.view))
    return lambda number, _message: in_set(number)


def _text(rest: list[Word]) -> str:
    word = rest.pop(0) if rest else None
    if not isinstance(word, str):
        raise Refused("BAD a criterion lacks its value")
    return word
