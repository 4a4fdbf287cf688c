"""Mask secrets in a stranger's words, in whatever spelling they come back (SPEC S1; findings SEC-20, SRV-11). Pure.

A text and a secret are compared by their letters alone: without case, accents, blanks, controls, backslashes and
invisible characters, which servers add, change and lose. Escapes of HTML, URLs and JSON are read as well. All of it
takes time linear in the text, of which READ_CHARS are read at most.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

MASK = "[secret]"
READ_CHARS = 8192
LEAST = 4  # a shorter secret would mask half of every text
_CLEARLY = 8  # a shorter one is not looked for across blanks: "on error" must not hide "oner"
_PART, _LONG_PART = 6, 12  # letters of a secret at the end of a text: fewer may be chance, and more are none
_HIDDEN = re.compile(rb"\x01+")
_PACKED = re.compile(r"[A-Za-z0-9+/=_-]+")
_BLANK = re.compile(r"(?<![\r\n]) ")
# A text is read once by each: as it is, and with these escapes undone. A reply of several lines repeats its code.
_ESCAPES = tuple(
    re.compile(r"\n[0-9]{3}[ -]" + escape)
    for escape in (
        "",
        r"|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});",
        r"|\+|%[0-7][0-9a-fA-F]|%[89a-fA-F][0-9a-fA-F](?:%[89abAB][0-9a-fA-F]){0,3}",
        r"|\\u[0-9a-fA-F]{4}",
    )
)
# A reply may well end with one of these, also where a password begins with it.
_USUAL = frozenset(
    "account accounts authentication blocked closed connection credential credentials denied disabled expired failed"
    " failure incorrect invalid locked mailbox password passwords rejected required server service support"
    " temporarily unavailable username".split()
)


@dataclass(frozen=True, slots=True)
class _Letters:
    """What a text says, and where in it each letter begins and ends."""

    said: str
    begins: list[int]
    ends: list[int]


@dataclass(frozen=True, slots=True)
class _Form:
    """One spelling of a secret. `packed` is base64, whose neighbours may hold a part of it."""

    said: str
    packed: bool = False
    blanks: bool = False


def mask(text: str | bytes, secrets: Iterable[str]) -> str:
    """Return the first READ_CHARS of `text` with MASK for each secret, and for a part of one that a cut has left.

    Call it before anything is cleaned or cut. Secrets of fewer than LEAST characters are not looked for.
    """
    whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    words = whole[:READ_CHARS]
    hidden, packed = bytearray(len(words)), bytearray(len(words))
    readings = [_letters(words, escape) for escape in _ESCAPES if escape is _ESCAPES[0] or escape.search(words)]
    for secret in secrets:
        for begin, end in _as_it_is(words, secret):
            hidden[begin:end] = b"\x01" * (end - begin)
        for form in _forms(secret):
            for begin, end in _found(words, readings, form):
                hidden[begin:end] = b"\x01" * (end - begin)
                if form.packed:
                    packed[begin:end] = hidden[begin:end]
    _hide_runs(words, packed, hidden)
    return _without(words, hidden)


def _as_it_is(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Also a secret without letters is found so."""
    at = text.find(secret) if len(secret) >= LEAST else -1
    while at >= 0:
        yield at, at + len(secret)
        at = text.find(secret, at + len(secret))


def _forms(secret: str) -> Iterator[_Form]:
    """Plain, hex, and base64 at each of its three alignments: so it stands inside of longer strings."""
    if len(secret) < LEAST:
        return
    raw = secret.encode("utf-8", "replace")
    misread = secret.encode("latin-1", "replace").decode("utf-8", "replace")
    coded = [_core(raw, shift) for shift in range(3)]
    forms = [_Form(_said(secret), blanks=" " in secret), _Form(raw.hex())]
    forms += [] if secret.isascii() else [_Form(_said(misread), blanks=" " in secret)]
    forms += [_Form(_said(one), packed=True) for one in coded]
    forms += [_Form(_said(one.translate(_URL_SAFE)), packed=True) for one in coded if set(one) & set("+/")]
    yield from (form for form in forms if len(form.said) >= LEAST)


_URL_SAFE = str.maketrans("+/", "-_")


def _core(raw: bytes, shift: int) -> str:
    """The base64 letters that hold nothing but these bytes, where `shift` others stand before them in their group."""
    coded = base64.b64encode(b"\0" * shift + raw).decode()
    return coded[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]


def _found(text: str, readings: Iterable[_Letters], form: _Form) -> Iterator[tuple[int, int]]:
    """Where the form stands in the text, by any reading of it."""
    for letters in readings:
        for first, after in [*_all(letters.said, form.said), *_parts(letters.said, form.said)]:
            begin, end = letters.begins[first], letters.ends[after - 1]
            if len(form.said) >= _CLEARLY or form.blanks or not _BLANK.search(text, begin, end):
                yield begin, end


def _all(said: str, form: str) -> Iterator[tuple[int, int]]:
    at = said.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = said.find(form, at + len(form))


def _parts(said: str, form: str) -> Iterator[tuple[int, int]]:
    """The beginning of the form at the end of what is said, and its end at the beginning: a cut left no more."""
    least = max(_PART, min(_LONG_PART, len(form) // 2))
    if len(form) <= least:
        return
    at = said.find(form[:least], max(0, len(said) - len(form) + 1))
    while at >= 0 and not form.startswith(said[at:]):
        at = said.find(form[:least], at + 1)
    if at >= 0 and said[at:] not in _USUAL:
        yield at, len(said)
    at = said.rfind(form[-least:], 0, len(form) - 1)
    while at >= 0 and not form.endswith(said[: at + least]):
        at = said.rfind(form[-least:], 0, at + least - 1)
    if at >= 0 and said[: at + least] not in _USUAL:
        yield 0, at + least


def _letters(text: str, escape: re.Pattern[str]) -> _Letters:
    letters = _Letters("", [], [])
    said: list[str] = []
    for begin, end, meant in _units(text, escape):
        folded = _said(meant)
        said.append(folded)
        letters.begins.extend([begin] * len(folded))
        letters.ends.extend([end] * len(folded))
    return _Letters("".join(said), letters.begins, letters.ends)


def _units(text: str, escape: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    """Each character or escape: its place in the text and what it means."""
    at = 0
    for found in escape.finditer(text):
        yield from ((place, place + 1, text[place]) for place in range(at, found.start()))
        yield found.start(), found.end(), _meant(found.group())
        at = found.end()
    yield from ((place, place + 1, text[place]) for place in range(at, len(text)))


def _meant(escape: str) -> str:
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[0] == "%":
        raw = unquote_to_bytes(escape)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    return chr(int(escape[2:], 16)) if escape[0] == "\\" else ""  # a line's code, and + for a blank


# The same for ASCII at once: a token has thousands of letters.
_ASCII_LEFT_OUT = dict.fromkeys([*range(33), 127, ord("\\")])


def _said(text: str) -> str:
    if text.isascii():
        return text.lower().translate(_ASCII_LEFT_OUT)
    return "".join(map(_folded, text))


@lru_cache(4096)
def _folded(char: str) -> str:
    """What is left of a character: none of a control, blank, accent, backslash, or one that cannot be seen."""
    plain = unicodedata.normalize("NFKD", char.casefold()).casefold()
    return "".join(one for one in plain if unicodedata.category(one)[0] not in "CZM" and one != "\\")


def _hide_runs(text: str, packed: bytearray, hidden: bytearray) -> None:
    """A base64 string that holds a secret goes as a whole: the letters beside it hold some of its bits."""
    if not any(packed):
        return
    for run in _PACKED.finditer(text):
        if any(packed[run.start() : run.end()]):
            hidden[run.start() : run.end()] = b"\x01" * (run.end() - run.start())


def _without(text: str, hidden: bytearray) -> str:
    parts, at = [], 0
    for found in _HIDDEN.finditer(hidden):
        parts += [text[at : found.start()], MASK]
        at = found.end()
    return "".join([*parts, text[at:]])
