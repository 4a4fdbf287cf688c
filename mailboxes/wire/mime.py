"""The one builder of every message that Postmend sends (SPEC M; RFC 5322, 2045 to 2047, 6532). Pure.

The standard library writes long tokens as encoded words: a Message-ID in References, or the link in List-Unsubscribe,
which nobody can use then. So header fields are folded here, and the library's parser checks them in the tests.
All that goes out is 7-bit, but for the addresses that SMTPUTF8 is for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from mailboxes.wire.addresses import Refused, normal_host
from mailboxes.wire.clean import BadText, refuse_control
from mailboxes.wire.encoding import encode_text, encode_words
from mailboxes.wire.values import Letter

COLUMNS = 76
LONGEST_TOKEN = 900  # with the name of its field it stays below 998 (RFC 5322 2.1.1)
LONGEST_ADDRESS = 320  # RFC 3696 3; servers set bounds of their own
_WORD_CHARS = 60
_FIELD = re.compile(r"[!-9;-~]{1,60}")
_ATOM = r"[^\s\x00-\x20\x7f-\xa0()<>@,;:\\\"\[\].]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*|\"(?:[^\"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*\"")
_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]{2,45}\]")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_IN_QUOTES = re.compile(r"[\"\\]")
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Composition:
    """What a message says. `references` are Message-IDs, the oldest first; `headers` are further structured fields,
    whose values are ASCII and may be folded at any space."""

    sender: str
    recipient: str
    subject: str
    text: str
    date: datetime
    message_id: str
    sender_name: str = ""
    html: str = ""
    in_reply_to: str = ""
    references: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def compose(wanted: Composition) -> Letter:
    """Return the message as it goes on the wire. Raises BadText, which names the field, for an address that is none, a
    line break in a field, or a field of which no server takes a value so long."""
    sender, recipient = ascii_domain(wanted.sender, "sender"), ascii_domain(wanted.recipient, "recipient")
    lines = [
        fold("From", _mailbox(wanted.sender_name, sender)),
        fold("To", [recipient]),
        fold("Subject", unstructured(wanted.subject, "Subject")),
        fold("Date", format_datetime(wanted.date).split(" ")),
        fold("Message-ID", _tokens("Message-ID", wanted.message_id)),
    ]
    threaded = {"In-Reply-To": wanted.in_reply_to, "References": " ".join(wanted.references)}
    lines += [fold(name, _tokens(name, value)) for name, value in (threaded | dict(wanted.headers)).items() if value]
    head = "\r\n".join([*lines, "MIME-Version: 1.0", ""])
    return Letter(sender, recipient, wanted.message_id, head.encode() + _content(wanted))


def ascii_domain(address: str, name: str) -> str:
    """Return the address with its domain as mail servers know it (IDNA). Raises BadText, which names the field `name`,
    for what is no address."""
    local, at, domain = refuse_control(address, name).rpartition("@")
    if at and not domain.isascii():
        try:
            domain = normal_host(domain)
        except Refused as refused:
            raise BadText(f"{name}: {refused}") from None
    if not at or len(address) > LONGEST_ADDRESS or not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise BadText(f"{name} {address!r} is no address: type it as in me@example.com.")
    return f"{local}@{domain}"


def fold(name: str, words: Iterable[str]) -> str:
    """Return a header field of lines of at most 76 columns, broken between these words alone: a word that is longer
    stands on a line of its own, and the first one always beside the field's name."""
    if not _FIELD.fullmatch(name):
        raise BadText(f"{name!r} is no name of a header field.")
    lines: list[str] = []
    line = f"{name}:"
    for number, word in enumerate(words):
        if number and len(line) + 1 + len(word) > COLUMNS:
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line])


def unstructured(text: str, name: str) -> list[str]:
    """Return the words of a text in a header field: as they are where every program reads them so, else encoded."""
    if not text:
        return []
    words = refuse_control(text, name).split(" ")
    return words if all(_is_plain(word) for word in words) else encode_words(text)


def _is_plain(word: str) -> bool:
    """Whether every reader finds the word again: short ASCII, not empty (two spaces), nothing like an encoded word."""
    return bool(_PRINTABLE.fullmatch(word)) and len(word) <= _WORD_CHARS and "=?" not in word


def _mailbox(name: str, address: str) -> list[str]:
    """The words of "name <address>"."""
    if not name:
        return [address]
    words = unstructured(name, "sender's name")
    if words == name.split(" ") and not _PHRASE.fullmatch(name):
        quoted = f'"{_IN_QUOTES.sub(_escaped, name)}"'
        # A quoted name on two lines is read wrongly by some: Python's own `parseaddr` is one of them.
        words = [quoted] if len(quoted) <= _WORD_CHARS else encode_words(name)
    return [*words, f"<{address}>"]


def _escaped(char: re.Match[str]) -> str:
    return f"\\{char.group()}"


def _tokens(name: str, value: str) -> list[str]:
    words = refuse_control(value, name).split()
    if not words or not all(_PRINTABLE.fullmatch(word) and len(word) <= LONGEST_TOKEN for word in words):
        raise BadText(f"{name} holds a character that is not ASCII, or a word of more than {LONGEST_TOKEN} characters.")
    return words


def _content(wanted: Composition) -> bytes:
    """The content's header fields, the empty line, and the content."""
    if not wanted.html:
        return _part("plain", wanted.text)
    # "=_" stands in no encoded text; the rest keeps other messages' boundaries apart, the same at every attempt.
    boundary = f"=_{hashlib.sha256(wanted.message_id.encode()).hexdigest()[:32]}"
    head = fold("Content-Type", ["multipart/alternative;", f'boundary="{boundary}"']) + "\r\n\r\n"
    parts = (_part("plain", wanted.text), _part("html", wanted.html))
    inside = b"".join(f"--{boundary}\r\n".encode() + part for part in parts)
    return head.encode() + inside + f"--{boundary}--\r\n".encode()


def _part(subtype: str, text: str) -> bytes:
    encoding, body = encode_text(text)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + body
