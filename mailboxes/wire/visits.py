"""What is wanted of a visit to a mailbox over IMAP, and what it brings: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from mailboxes.wire.values import Report


class Role(StrEnum):
    """What a folder is to us."""

    INBOX = "inbox"
    JUNK = "junk"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a folder has been read. Where the folder's UIDVALIDITY is another, or none is known (0), all messages
    from `since` on are read again. Messages that arrived before `oldest` are passed over: somebody moved or imported
    them. Those of `passed_over` could not be fetched and are not asked for again; `singly` asks for one at a time.
    """

    role: Role
    folder: str
    uidvalidity: int
    last_uid: int
    since: date
    oldest: date = date.min
    passed_over: frozenset[int] = frozenset()
    singly: bool = False


class DeedKind(StrEnum):
    """What can be done to a message."""

    OPEN = "open"  # mark it as read
    RESCUE = "rescue"  # out of junk, into the inbox, and mark it as read


@dataclass(frozen=True, slots=True)
class Deed:
    """Something to be done to the message with this Message-ID in a folder. `key` is the caller's."""

    key: int
    kind: DeedKind
    role: Role
    message_id: str


@dataclass(frozen=True, slots=True)
class VisitPlan:
    """One visit: cursors of the folders known so far, deeds, and Message-IDs to look for in Sent.

    `places` names Junk and Sent; where it is None the server is asked. `oldest` is that of every cursor.
    """

    inbox: str
    cursors: tuple[Cursor, ...]
    since: date
    deeds: tuple[Deed, ...] = ()
    sought: tuple[str, ...] = ()
    places: Mapping[Role, str] | None = None
    oldest: date = date.min


@dataclass(frozen=True, slots=True)
class Fetched:
    """One message: its first bytes, and its size in all. The time is when it arrived, UTC."""

    uid: int
    raw: bytes = field(repr=False)
    size: int
    seen: bool
    arrived_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unread:
    """A message that was announced and did not come. `alone` is True where it was asked for by itself: else any of
    those asked for with it may be the cause."""

    uid: int
    reason: str
    alone: bool


@dataclass(frozen=True, slots=True)
class FolderRead:
    """What a folder gave, and the cursor after it, which stands before `unread`. Not complete where more waits there,
    which is worth another visit at once unless `unread` stands in the way."""

    before: Cursor
    uidvalidity: int
    last_uid: int
    messages: tuple[Fetched, ...]
    complete: bool
    unread: Unread | None = None

    @property
    def has_moved(self) -> bool:
        """True where the cursor is another than before."""
        return (self.uidvalidity, self.last_uid) != (self.before.uidvalidity, self.before.last_uid)


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit's report and yield. `found` are the Message-IDs found in Sent; None where Sent was not looked into."""

    report: Report
    folders: tuple[FolderRead, ...] = ()
    done: tuple[int, ...] = ()
    found: frozenset[str] | None = None
    places: Mapping[Role, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True where nothing that had arrived is left unread."""
        return self.report.ok and all(folder.complete for folder in self.folders)

    @property
    def goes_on(self) -> bool:
        """True where another visit at once brings more: this one moved on, and nothing stands in its way."""
        if not self.report.ok or any(folder.unread for folder in self.folders):
            return False
        waiting = any(not folder.complete for folder in self.folders)
        return waiting and any(folder.has_moved for folder in self.folders)
