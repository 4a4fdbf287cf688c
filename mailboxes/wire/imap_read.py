"""Read folders by UID, without marking anything as read (RFC 9051, RFC 3501; FACTS E13 to E16). Dialogues without I/O.

What is new is asked for by UID SEARCH, and nothing else moves the cursor: a server may tell any UIDNEXT, and UIDs may
lie far apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from mailboxes.wire.imap import ImapSession, is_number
from mailboxes.wire.imap_fetch import ALL_BYTES, Brought, GivenT, Reading, fetch_messages, search
from mailboxes.wire.values import WireFault
from mailboxes.wire.visits import Cursor, Fetched, FolderRead, Unread

MOST_LISTED = 100_000  # UIDs in one answer: 1.1 MB of text at most
MOST_WINDOWS = 50  # such answers in one visit, of a folder with more messages than that
MOST_MESSAGES = 200  # in one visit
BATCH = 50  # messages asked for at once
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_FIRST_DATE = b"1-Jan-1990"  # an arrival before it is a date that the server does not know


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder as SELECT shows it."""

    uidvalidity: int
    exists: int


@dataclass
class Progress:
    """How far a folder has been read. It outlives a connection that breaks: what came till then is kept.

    `asked` are the UIDs that have been asked for and have not come yet.
    """

    cursor: Cursor
    uidvalidity: int = 0
    last_uid: int = 0
    messages: list[Fetched] = field(default_factory=list)
    asked: tuple[int, ...] = ()
    unread: Unread | None = None
    complete: bool = False

    def blame(self, reason: str) -> None:
        """What was asked for is what did not come."""
        uid, alone = self.asked[0], len(self.asked) == 1
        self.unread, self.asked = Unread(uid, reason, alone), ()

    def read(self) -> FolderRead:
        """What the folder gave so far."""
        messages = tuple(self.messages)
        return FolderRead(self.cursor, self.uidvalidity, self.last_uid, messages, self.complete, self.unread)


def open_folder(session: ImapSession, folder: str) -> Reading[Opened]:
    """SELECT, and what the server says of the folder."""
    untagged = yield from session.select(folder)
    validity = [int(number) for reply in untagged if (number := _uidvalidity(reply.code))]
    counts = [int(number) for reply in untagged if reply.status == "EXISTS" and (number := _leading(reply.text))]
    return Opened(max(validity, default=0), max(counts, default=0))


def read_folder(session: ImapSession, cursor: Cursor, progress: Progress) -> Reading[None]:
    """What came after the cursor, oldest first, into `progress`: at most MOST_MESSAGES and about ALL_BYTES in a visit.

    The first message that was announced and does not come ends it: the cursor stays before that one.
    """
    opened = yield from open_folder(session, cursor.folder)
    # A server that tells none (0) is taken at its word once something was read.
    known = cursor.uidvalidity == opened.uidvalidity and (cursor.uidvalidity > 0 or cursor.last_uid > 0)
    last = cursor.last_uid if known else (yield from _before(session, cursor.since, opened))
    progress.uidvalidity, progress.last_uid = opened.uidvalidity, last
    passed_over = cursor.passed_over if known else frozenset()
    listed, upto, whole = yield from _list_new(session, opened, last)
    wanted = [uid for uid in (yield from _recent(session, cursor.oldest, listed)) if uid not in passed_over]
    if (yield from _take(session, wanted, progress)):
        progress.last_uid = max(progress.last_uid, upto)
        progress.complete = whole


def _take(session: ImapSession, wanted: Sequence[int], progress: Progress) -> Reading[bool]:
    """Fetch these in order; True where all of them came, or are gone."""
    rest, amount = list(wanted), 1 if progress.cursor.singly else BATCH
    taken_bytes = 0
    while rest:
        if len(progress.messages) >= MOST_MESSAGES or taken_bytes >= ALL_BYTES:
            return False
        progress.asked = tuple(rest[:amount])
        brought = yield from fetch_messages(session, progress.asked, ALL_BYTES - taken_bytes)
        taken_bytes += sum(len(one.raw) for one in brought.messages.values())
        if not (yield from _take_note(session, brought, progress)):
            return False
        rest = rest[len(brought.tried) :]
    return True


def _take_note(session: ImapSession, brought: Brought, progress: Progress) -> Reading[bool]:
    """Go past each message that came or is gone; False at one that did not come, asked for by itself as well."""
    for uid in brought.tried:
        message = brought.messages.get(uid)
        if uid in brought.missing:
            progress.asked = (uid,)
            again = yield from fetch_messages(session, (uid,), ALL_BYTES)
            message = again.messages.get(uid)
            if uid in again.missing:
                progress.blame(again.missing[uid])
                return False
        progress.messages += [message] if message else []
        progress.last_uid = uid
    progress.asked = ()
    return True


def _list_new(session: ImapSession, opened: Opened, last: int) -> Reading[tuple[list[int], int, bool]]:
    """UIDs above `last`, the UID up to which they are all, and whether nothing is above that."""
    if not opened.exists:
        return [], last, True
    if opened.exists <= MOST_LISTED:
        found = yield from search(session, f"UID {last + 1}:*".encode())
        new = [uid for uid in found if uid > last]  # "n:*" always holds the last message
        return new, max(new, default=last), True
    top = max((yield from search(session, b"UID *")), default=0)
    for _window in range(MOST_WINDOWS):
        if last >= top:
            break
        end = min(last + MOST_LISTED, top)
        found = yield from search(session, f"UID {last + 1}:{end}".encode())
        if new := [uid for uid in found if last < uid <= end]:
            return new, end, end >= top
        last = end
    return [], last, last >= top


def _recent(session: ImapSession, oldest: date, listed: Sequence[int]) -> Reading[list[int]]:
    """Those of them that arrived on `oldest` or later, or at no time that could be."""
    if not listed or oldest == date.min:
        return list(listed)
    span = f"UID {listed[0]}:{listed[-1]}".encode()
    found = yield from search(session, span, b"OR SINCE", _day(oldest), b"BEFORE", _FIRST_DATE)
    among = set(found)
    return [uid for uid in listed if uid in among]


def _before(session: ImapSession, since: date, opened: Opened) -> Reading[int]:
    """The UID before the first message since that day: where reading begins anew."""
    if not opened.exists:
        return 0
    top = max((yield from search(session, b"UID *")), default=0)  # first: what comes now is above it
    found = yield from search(session, b"SINCE", _day(since))
    return found[0] - 1 if found else top


def _day(day: date) -> bytes:
    """A day as SEARCH takes it. Month names are English whatever the locale is."""
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}".encode()


def _uidvalidity(code: str) -> str:
    word, _, number = code.partition(" ")
    return number if word.upper() == "UIDVALIDITY" and is_number(number) else ""


def _leading(text: str) -> str:
    word = text.partition(" ")[0]
    return word if is_number(word) else ""


def unless_refused(reading: Reading[GivenT]) -> Reading[GivenT | None]:
    """What it gives, or None where the server says no to a command: the session goes on."""
    try:
        return (yield from reading)
    except WireFault as fault:
        if fault.code.split(" ")[0] not in ("NO", "BAD"):
            raise
        return None
