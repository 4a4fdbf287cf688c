"""A folder as one IMAP session sees it: sequence numbers stay until the session is told of a change."""

from __future__ import annotations

from mailboxes.sandbox.account import Account, Message
from mailboxes.sandbox.imap_words import number_set


class Renumbered(Exception):
    """The folder has another UIDVALIDITY than the session was told: it cannot go on."""


class OpenFolder:
    """Opened by SELECT or EXAMINE (`read_only`). `view` is what the session knows of, by sequence number."""

    def __init__(self, account: Account, name: str, read_only: bool) -> None:
        self.account = account
        self.name = name
        self.read_only = read_only
        self.validity = account.validity(name)
        self.view = list(account.folders[name])

    def news(self, tells_expunged: bool) -> list[bytes]:
        """What the session must be told: messages gone, and how many there are where new ones came."""
        if self.account.validity(self.name) != self.validity:
            raise Renumbered
        present = self.account.folders.get(self.name, [])
        lines = self._expunged(present) if tells_expunged else []
        known = {id(message) for message in self.view}
        if new := [message for message in present if id(message) not in known]:
            self.view += new
            lines.append(f"* {len(self.view)} EXISTS".encode())
        return lines

    def _expunged(self, present: list[Message]) -> list[bytes]:
        living = {id(message) for message in present}
        gone = [number for number, message in enumerate(self.view, start=1) if id(message) not in living]
        for number in reversed(gone):
            del self.view[number - 1]
        return [f"* {number} EXPUNGE".encode() for number in reversed(gone)]

    def numbered(self) -> list[tuple[int, Message]]:
        """The messages that are still there, with their sequence numbers."""
        living = {id(message) for message in self.account.folders.get(self.name, [])}
        return [(number, one) for number, one in enumerate(self.view, start=1) if id(one) in living]

    def chosen(self, text: str, by_uid: bool) -> list[tuple[int, Message]]:
        """The messages of a set of UIDs or sequence numbers, with their sequence numbers."""
        highest = max((one.uid for one in self.view), default=0) if by_uid else len(self.view)
        fits = number_set(text, highest)
        return [(number, one) for number, one in self.numbered() if fits(one.uid if by_uid else number)]
