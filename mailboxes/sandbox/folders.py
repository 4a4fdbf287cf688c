"""What an account keeps: folders of messages, their UIDs, and where what arrives is put."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesHeaderParser

INBOX, SENT, JUNK = "INBOX", "Sent", "Junk"
SEEN = "\\Seen"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Message:
    """A message in a folder."""

    uid: int
    raw: bytes
    flags: set[str] = field(default_factory=set)
    internal_date: datetime = field(default_factory=_now)

    def header(self, name: str) -> str | None:
        """The first header of this name on one line, or None."""
        value = BytesHeaderParser().parsebytes(self.raw).get(name)
        return None if value is None else " ".join(str(value).split())

    @property
    def message_id(self) -> str:
        """Its Message-ID header."""
        return self.header("Message-ID") or ""


@dataclass(kw_only=True)
class Folders:
    """An account's folders by name, to be changed from any thread, under the lock; `seen` counts what happened."""

    folders: dict[str, list[Message]] = field(default_factory=lambda: {INBOX: [], SENT: [], JUNK: []})
    uid_validity: dict[str, int] = field(default_factory=dict)
    next_uids: dict[str, int] = field(default_factory=dict)
    saves_sent: bool = True  # the provider keeps a copy in Sent of what it accepted, as Gmail does
    junks: Callable[[bytes], bool] | None = None  # what it finds true goes to Junk when it arrives
    seen: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def deliver(self, raw: bytes, folder: str = INBOX) -> int:
        """Put a message into a folder; its UID."""
        self.seen["delivered"] += 1
        return self.keep(raw, folder).uid

    def receive(self, raw: bytes) -> int:
        """Deliver what arrives by mail: to INBOX, or to Junk where it is judged junk; its UID there."""
        return self.deliver(raw, JUNK if self.junks and self.junks(raw) else INBOX)

    def keep(self, raw: bytes, folder: str, flags: Iterable[str] = (), at: datetime | None = None) -> Message:
        """Put a message into a folder without counting it as delivered; the message there."""
        with self.lock:
            message = Message(self.next_uid(folder), raw, set(flags), at or _now())
            self.next_uids[folder] = message.uid + 1
            self.folders.setdefault(folder, []).append(message)
        return message

    def next_uid(self, folder: str) -> int:
        """The UID that the folder's next message gets; never one that was given before."""
        highest = max((message.uid for message in self.folders.get(folder, [])), default=0)
        return max(self.next_uids.get(folder, 1), highest + 1)

    def validity(self, folder: str) -> int:
        """The folder's UIDVALIDITY."""
        return self.uid_validity.get(folder, 1)

    def take(self, folder: str, gone: Iterable[Message]) -> None:
        """Remove these messages from a folder; their UIDs are not given again."""
        with self.lock:
            self.next_uids[folder] = self.next_uid(folder)
            ids = {id(message) for message in gone}
            self.folders[folder] = [message for message in self.folders[folder] if id(message) not in ids]

    def renumber(self, folder: str) -> None:
        """Another UIDVALIDITY, and new UIDs from 1 on for what is in the folder."""
        with self.lock:
            self.uid_validity[folder] = self.validity(folder) + 1
            for uid, message in enumerate(self.folders[folder], start=1):
                message.uid = uid
            self.next_uids[folder] = len(self.folders[folder]) + 1
