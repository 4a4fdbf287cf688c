"""Fetch messages by UID and judge whether they have come (RFC 9051, 6.4.5 and 6.4.9). Dialogues without I/O.

A message is gone where the server, asked anew, no longer lists it; whatever else has not come is missing.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from mailboxes.wire import imap_grammar as grammar
from mailboxes.wire.dialogue import Action
from mailboxes.wire.imap import ImapSession, expect_ok, is_number
from mailboxes.wire.imap_grammar import Items
from mailboxes.wire.imap_reply import ImapReply
from mailboxes.wire.values import Stage
from mailboxes.wire.visits import Fetched

MESSAGE_BYTES = 262_144
ALL_BYTES = 4_194_304
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

GivenT = TypeVar("GivenT")
Reading = Generator[Action, ImapReply, GivenT]


@dataclass
class Brought:
    """What came of the first `tried` UIDs that were asked for; those neither in `messages` nor in `missing` are gone.
    `missing` has the reasons."""

    tried: Sequence[int]
    messages: dict[int, Fetched] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)


def search(session: ImapSession, *terms: bytes) -> Reading[list[int]]:
    """UIDs in the selected folder that fit, in order."""
    *untagged, final = yield from session.command(Stage.READ, b"UID SEARCH " + b" ".join(terms))
    expect_ok(final, Stage.READ)
    words = [word for reply in untagged if reply.status == "SEARCH" for word in reply.text.split()]
    return sorted({int(word) for word in words if is_number(word)})


def fetch_messages(session: ImapSession, uids: Sequence[int], most_bytes: int) -> Reading[Brought]:
    """Fetch as many of these, from the first on, as fit into so many bytes; at least one."""
    told, refusal = yield from _fetch(session, uids, "UID FLAGS INTERNALDATE RFC822.SIZE")
    heads = {uid: _head(uid, told[uid]) for uid in uids if uid in told and "RFC822.SIZE" in told[uid]}
    tried = as_many_as_fit(uids, heads, most_bytes)
    known = [uid for uid in tried if uid in heads]
    bodies: Mapping[int, Items] = {}
    if known:
        bodies, refused = yield from _fetch(session, known, f"UID BODY.PEEK[]<0.{MESSAGE_BYTES}>")
        refusal = refusal or refused
    brought = Brought(tried)
    doubtful: dict[int, bytes] = {}
    for uid in tried:
        raw = grammar.body(bodies.get(uid, {}))
        head = heads.get(uid)
        if head is not None and (raw or not head.size) and len(raw) == min(head.size, MESSAGE_BYTES):
            brought.messages[uid] = _with_body(head, raw)
        else:
            doubtful[uid] = raw
    if doubtful:
        yield from _settle(session, doubtful, heads, refusal, brought)
    return brought


def _settle(
    session: ImapSession, doubtful: Mapping[int, bytes], heads: Mapping[int, Fetched], refusal: str, brought: Brought
) -> Reading[None]:
    """Ask again which of them are there. A message that is there and came at about its size has come: some servers
    only estimate RFC822.SIZE. One that is gone is not what came in its place (Courier sends a stand-in)."""
    yield from session.refresh()
    present = set((yield from search(session, b"UID " + _uid_set(list(doubtful)))))
    for uid, raw in doubtful.items():
        head = heads.get(uid)
        if uid not in present:
            continue
        if head is not None and raw and 4 * abs(len(raw) - min(head.size, MESSAGE_BYTES)) <= len(raw):
            brought.messages[uid] = _with_body(head, raw)
        else:
            told = f"{len(raw)} bytes came of {head.size}" if head else "the server lists it and does not send it"
            brought.missing[uid] = refusal or told


def _fetch(session: ImapSession, uids: Sequence[int], items: str) -> Reading[tuple[dict[int, Items], str]]:
    """What was sent for these UIDs, and the words of a refusal: the server may send some of them before it refuses."""
    command = b"UID FETCH " + _uid_set(uids) + f" ({items})".encode()
    *untagged, final = yield from session.command(Stage.READ, command)
    found = grammar.merge_by_uid(reply.data for reply in untagged if reply.status == "FETCH")
    return found, "" if final.status == "OK" else final.line


def as_many_as_fit(uids: Sequence[int], heads: Mapping[int, Fetched], most_bytes: int) -> Sequence[int]:
    """The first UIDs whose messages fit together into so many bytes; at least one."""
    total = 0
    for place, uid in enumerate(uids):
        total += min(heads[uid].size, MESSAGE_BYTES) if uid in heads else 0
        if place and total > most_bytes:
            return uids[:place]
    return uids


def _head(uid: int, items: Items) -> Fetched:
    seen = "\\seen" in grammar.flags(items)
    return Fetched(uid, b"", grammar.number(items, "RFC822.SIZE"), seen, _time(items.get("INTERNALDATE")))


def _with_body(head: Fetched, raw: bytes) -> Fetched:
    return Fetched(head.uid, raw[:MESSAGE_BYTES], head.size, head.seen, head.arrived_at)


def _uid_set(uids: Sequence[int]) -> bytes:
    return ",".join(str(uid) for uid in uids).encode()


def _time(value: grammar.Value) -> datetime | None:
    """INTERNALDATE; its day may be padded by a space."""
    try:
        day, month, rest = (value if isinstance(value, bytes) else b"")[:40].decode().strip().split("-", 2)
        year, clock, zone = rest.split(" ")
        number = _MONTHS.index(month.title()) + 1
        parsed = datetime.strptime(f"{year}-{number:02}-{int(day):02} {clock} {zone}", "%Y-%m-%d %H:%M:%S %z")
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
