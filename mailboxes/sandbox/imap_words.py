"""How IMAP commands are written: words, lists, literals, sequence sets and days."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

Word: TypeAlias = "str | list[Word]"

LITERAL = re.compile(r"\{(\d+)\}$")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([()])|([^\s"()]+)')
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_FLAGS = {name.lower(): name for name in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
SYSTEM_FLAGS = " ".join(_FLAGS.values())


class Refused(Exception):
    """The command is answered with this text in place of OK, beginning with NO or BAD."""


@dataclass(frozen=True)
class Command:
    """One command. `words` holds atoms and strings unquoted and parenthesised lists as lists; a literal stands among
    them as text, and in `literals` as it came."""

    tag: str
    verb: str
    words: Sequence[Word] = ()
    literals: Sequence[bytes] = ()
    by_uid: bool = False

    def text(self, at: int) -> str:
        """The word at this place; Refused where there is none, or a list."""
        word = self.words[at] if at < len(self.words) else None
        if not isinstance(word, str):
            raise Refused("BAD a word is missing")
        return word

    def rest(self, at: int) -> list[str]:
        """The list at this place, or the words from there on."""
        rest = self.words[at:]
        inner = rest[0] if rest and isinstance(rest[0], list) else rest
        return [word for word in inner if isinstance(word, str)]


def parse(line: str, literals: Sequence[bytes]) -> Command:
    """A command from its line, in which literals stand as `{size}`; `UID FETCH` becomes FETCH by UID."""
    tag, _, rest = line.partition(" ")
    words = words_of(rest, literals)
    verb = str(words.pop(0)).upper() if words else ""
    if by_uid := verb == "UID" and bool(words):
        verb = str(words.pop(0)).upper()
    return Command(tag, verb, words, literals, by_uid)


def words_of(text: str, literals: Sequence[bytes] = ()) -> list[Word]:
    """Words and lists of words."""
    waiting = iter(literals)
    open_lists: list[list[Word]] = [[]]
    for quoted, bracket, atom in _TOKEN.findall(text):
        if bracket == "(":
            open_lists.append([])
        elif bracket and len(open_lists) > 1:
            inner = open_lists.pop()
            open_lists[-1].append(inner)
        elif atom and LITERAL.fullmatch(atom):
            open_lists[-1].append(next(waiting, b"").decode("utf-8", "replace"))
        else:
            open_lists[-1].append(atom or re.sub(r"\\(.)", r"\1", quoted))
    return open_lists[0]


def number_set(text: str, highest: int) -> Callable[[int], bool]:
    """A test for being in a set as `5,7:9,10:*`; `*` is the highest number in use, on whichever side it stands."""
    ranges = []
    for part in text.split(","):
        ends = [highest if end == "*" else int(end) for end in part.split(":") if end == "*" or end.isdecimal()]
        if len(ends) != part.count(":") + 1 or len(ends) > 2:
            raise Refused(f"BAD no set: {text}")
        ranges.append((min(ends), max(ends)))
    return lambda number: any(low <= number <= high for low, high in ranges)


def day(text: str) -> date:
    """A day as `20-Nov-2026`."""
    try:
        number, month, year = text.split("-")
        return date(int(year), _MONTHS.index(month.lower()) + 1, int(number))
    except ValueError:
        raise Refused(f"BAD no day: {text}") from None


def flag(name: str) -> str:
    """A flag as it is kept: system flags are the same in upper and lower case."""
    return _FLAGS.get(name.lower(), name)


def quoted(text: str) -> str:
    """A quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
