"""Read folders by UID, without marking anything as read (RFC 3501; FACTS E13 to E16). Dialogues without I/O."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

from mailboxes.wire.dialogue import Action
from mailboxes.wire.imap import ImapSession, expect_ok, is_number
from mailboxes.wire.imap_reply import ImapReply
from mailboxes.wire.values import Stage, WireFault
from mailboxes.wire.visits import Cursor, Fetched, FolderRead

WINDOW = 500  # UIDs looked over at once
MOST_WINDOWS = 20  # in one visit: what was looked over is kept, and the next one goes on from there
MOST_MESSAGES = 50
MESSAGE_BYTES = 262_144
ALL_BYTES = 4_194_304

_NUMBER = {name: re.compile(rf"\b{name} (\d{{1,12}})") for name in ("UID", "RFC822.SIZE")}
_FLAGS = re.compile(r"\bFLAGS \(([^)]*)\)", re.IGNORECASE)
_ARRIVED = re.compile(r'\bINTERNALDATE "([^"]{10,40})"', re.IGNORECASE)
_SHORT_BODY = re.compile(r'\bBODY\[\](?:<\d+>)? "((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

GivenT = TypeVar("GivenT")
Reading = Generator[Action, ImapReply, GivenT]


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder as SELECT shows it. `uidnext` is 0 where the server does not tell it."""

    uidvalidity: int
    uidnext: int
    exists: int


def open_folder(session: ImapSession, folder: str) -> Reading[Opened]:
    """SELECT, and what the server says of the folder."""
    untagged = yield from session.select(folder)
    codes = {word: int(number) for reply in untagged for word, number in _code(reply)}
    counts = [_leading_number(reply.text) for reply in untagged if reply.status == "EXISTS"]
    return Opened(codes.get("UIDVALIDITY", 0), codes.get("UIDNEXT", 0), max(counts, default=0))


def read_folder(session: ImapSession, cursor: Cursor) -> Reading[FolderRead]:
    """What came after the cursor, oldest first: at most MOST_MESSAGES and ALL_BYTES of it in one visit."""
    opened = yield from open_folder(session, cursor.folder)
    end = opened.uidnext - 1 if opened.uidnext else (yield from _highest(session, opened))
    # A server that tells none (0) is taken at its word once something was read.
    known = cursor.uidvalidity == opened.uidvalidity and (cursor.uidvalidity > 0 or cursor.last_uid > 0)
    last = cursor.last_uid if known else (yield from _before(session, cursor.since, end))
    heads: list[Fetched] = []
    for _window in range(MOST_WINDOWS):
        if last >= end or heads:
            break
        upto = min(last + WINDOW, end)
        heads = yield from _heads(session, last, upto)
        taken = _as_many_as_fit(heads)
        last = upto if len(taken) == len(heads) else taken[-1].uid
        heads = taken
    messages = (yield from _bodies(session, heads)) if heads else ()
    return FolderRead(cursor, opened.uidvalidity, max(last, 0), tuple(messages), complete=last >= end)


def search(session: ImapSession, *terms: bytes) -> Reading[list[int]]:
    """UIDs in the selected folder that fit."""
    *untagged, final = yield from session.command(Stage.READ, b"UID SEARCH " + b" ".join(terms))
    expect_ok(final, Stage.READ)
    words = [word for reply in untagged if reply.status == "SEARCH" for word in reply.text.split()]
    return [int(word) for word in words if is_number(word)]


def _highest(session: ImapSession, opened: Opened) -> Reading[int]:
    """The last message's UID, for a server that tells no UIDNEXT."""
    if not opened.exists:
        return 0
    *untagged, final = yield from session.command(Stage.READ, b"FETCH * (UID)")
    expect_ok(final, Stage.READ)
    return max((_number("UID", reply.text) for reply in untagged if reply.status == "FETCH"), default=0)


def _before(session: ImapSession, since: date, end: int) -> Reading[int]:
    """The UID before the first message since that day: where reading begins anew."""
    day = f"{since.day}-{_MONTHS[since.month - 1]}-{since.year}".encode()
    found = (yield from search(session, b"SINCE", day)) if end > 0 else []
    return min(found) - 1 if found else end


def _heads(session: ImapSession, last: int, upto: int) -> Reading[list[Fetched]]:
    """What is there between two UIDs, without any text. The answer to "n:*" may hold older ones: they are dropped."""
    command = f"UID FETCH {last + 1}:{upto} (UID FLAGS INTERNALDATE RFC822.SIZE)".encode()
    *untagged, final = yield from session.command(Stage.READ, command)
    expect_ok(final, Stage.READ)
    found = {head.uid: head for head in map(_head, _fetched(untagged)) if last < head.uid <= upto}
    return [found[uid] for uid in sorted(found)]


def _bodies(session: ImapSession, heads: Sequence[Fetched]) -> Reading[list[Fetched]]:
    """The heads with their first bytes; what was deleted meanwhile is left out."""
    by_uid = {head.uid: head for head in heads}
    uids = ",".join(str(uid) for uid in by_uid)
    command = f"UID FETCH {uids} (UID BODY.PEEK[]<0.{MESSAGE_BYTES}>)".encode()
    *untagged, final = yield from session.command(Stage.READ, command)
    expect_ok(final, Stage.READ)
    bodies = {_number("UID", reply.text): _body(reply) for reply in _fetched(untagged)}
    return [
        Fetched(uid, bodies[uid][:MESSAGE_BYTES], head.size, head.seen, head.arrived_at)
        for uid, head in by_uid.items()
        if bodies.get(uid)
    ]


def _as_many_as_fit(heads: Sequence[Fetched]) -> list[Fetched]:
    taken: list[Fetched] = []
    total = 0
    for head in heads[:MOST_MESSAGES]:
        total += min(head.size, MESSAGE_BYTES)
        if taken and total > ALL_BYTES:
            break
        taken.append(head)
    return taken


def _fetched(replies: Iterable[ImapReply]) -> Iterable[ImapReply]:
    return (reply for reply in replies if reply.status == "FETCH" and _number("UID", reply.text))


def _head(reply: ImapReply) -> Fetched:
    flags = _FLAGS.search(reply.text)
    arrived = _ARRIVED.search(reply.text)
    return Fetched(
        uid=_number("UID", reply.text),
        raw=b"",
        size=_number("RFC822.SIZE", reply.text),
        seen=flags is not None and "\\seen" in flags.group(1).lower(),
        arrived_at=_time(arrived.group(1)) if arrived else None,
    )


def _body(reply: ImapReply) -> bytes:
    """A literal, or a quoted string where the server finds that short enough."""
    if reply.literal:
        return reply.literal
    short = _SHORT_BODY.search(reply.text)
    return re.sub(r"\\(.)", r"\1", short.group(1)).encode() if short else b""


def _leading_number(text: str) -> int:
    word = text.partition(" ")[0]
    return int(word) if is_number(word) else 0


def _number(name: str, text: str) -> int:
    found = _NUMBER[name].search(text)
    return int(found.group(1)) if found else 0


def _code(reply: ImapReply) -> list[tuple[str, int]]:
    word, _, number = reply.code.partition(" ")
    return [(word.upper(), int(number))] if is_number(number) else []


def _time(text: str) -> datetime | None:
    """INTERNALDATE; its day may be padded by a space. Month names are English whatever the locale is."""
    try:
        day, month, rest = text.strip().split("-", 2)
        year, clock, zone = rest.split(" ")
        number = _MONTHS.index(month.title()) + 1
        parsed = datetime.strptime(f"{year}-{number:02}-{int(day):02} {clock} {zone}", "%Y-%m-%d %H:%M:%S %z")
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def unless_refused(reading: Reading[GivenT]) -> Reading[GivenT | None]:
    """What it gives, or None where the server says no to a command: the session goes on."""
    try:
        return (yield from reading)
    except WireFault as fault:
        if fault.code.split(" ")[0] not in ("NO", "BAD"):
            raise
        return None
