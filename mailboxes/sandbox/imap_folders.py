"""What a session does with whole folders over IMAP: list, create, open, close, append."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime

from mailboxes.sandbox.account import Account, Message
from mailboxes.sandbox.folders import INBOX, JUNK, SENT
from mailboxes.sandbox.imap_words import SYSTEM_FLAGS, Command, Refused, flag, quoted
from mailboxes.sandbox.open_folder import OpenFolder
from mailboxes.wire.utf7 import decode_folder, encode_folder

DELETED = "\\Deleted"
_SPECIAL_USE = {SENT: " \\Sent", JUNK: " \\Junk"}

Lines = list[bytes]


class FolderCommands:
    """`open` is the folder that the session has selected, `code` the response code of its next tagged reply. Each
    command gives its untagged replies, or raises Refused."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.open: OpenFolder | None = None
        self.code = ""

    def list_folders(self, command: Command) -> Lines:
        """The folders that fit a pattern, with what they are for (RFC 6154)."""
        pattern = decode_folder(command.text(1))
        if not pattern:
            return [b'* LIST (\\Noselect) "/" ""']
        wanted = re.escape(pattern).replace(r"\*", ".*").replace("%", "[^/]*")
        names = [name for name in self.account.folders if re.fullmatch(wanted, name, re.IGNORECASE)]
        return [
            f'* LIST (\\HasNoChildren{_SPECIAL_USE.get(name, "")}) "/" {quoted(encode_folder(name))}'.encode()
            for name in names
        ]

    def create(self, command: Command) -> Lines:
        """One more folder."""
        name = _name(command.text(0))
        if name in self.account.folders:
            raise Refused("NO [ALREADYEXISTS] Mailbox already exists")
        self.account.folders[name] = []
        return []

    def select(self, command: Command, read_only: bool) -> Lines:
        """Open a folder, and tell what is in it."""
        self.open = None
        name = _name(command.text(0))
        if name not in self.account.folders:
            raise Refused(f"NO [NONEXISTENT] Mailbox doesn't exist: {encode_folder(name)}")
        self.open = OpenFolder(self.account, name, read_only)
        self.code = "[READ-ONLY] " if read_only else "[READ-WRITE] "
        kept = "" if read_only else f"{SYSTEM_FLAGS} \\*"
        return [
            f"* {len(self.open.view)} EXISTS".encode(),
            b"* 0 RECENT",
            f"* FLAGS ({SYSTEM_FLAGS})".encode(),
            f"* OK [PERMANENTFLAGS ({kept})] kept".encode(),
            f"* OK [UIDVALIDITY {self.open.validity}] valid".encode(),
            f"* OK [UIDNEXT {self.account.next_uid(name)}] next".encode(),
        ]

    def append(self, command: Command) -> Lines:
        """Put a message into a folder."""
        name = self.existing(command.text(0))
        options = command.words[1:-1]
        flags = [flag(str(one)) for option in options if isinstance(option, list) for one in option]
        dates = [option for option in options if isinstance(option, str)]
        if not command.literals:
            raise Refused("BAD no message")
        kept = self.account.keep(command.literals[-1], name, flags, _time(dates[0]) if dates else None)
        self.code = f"[APPENDUID {self.account.validity(name)} {kept.uid}] "
        return []

    def close(self, command: Command) -> Lines:
        """Leave the folder, and expunge it where it is not read only."""
        folder = self.opened()
        if not folder.read_only:
            self.remove([message for _, message in folder.numbered() if DELETED in message.flags])
        return self.unselect(command)

    def unselect(self, _command: Command) -> Lines:
        """Leave the folder as it is."""
        self.opened()
        self.open = None
        return []

    def remove(self, messages: list[Message]) -> None:
        """Take messages out of the open folder."""
        self.account.take(self.opened().name, messages)

    def opened(self) -> OpenFolder:
        """The open folder; Refused where there is none."""
        if self.open is None:
            raise Refused("BAD no folder is open")
        return self.open

    def writable(self) -> OpenFolder:
        """The open folder, where it was opened by SELECT."""
        folder = self.opened()
        if folder.read_only:
            raise Refused("NO [READ-ONLY] the folder is open for reading only")
        return folder

    def existing(self, word: str) -> str:
        """The name of a folder that there must be."""
        name = _name(word)
        if name not in self.account.folders:
            raise Refused(f"NO [TRYCREATE] Mailbox doesn't exist: {encode_folder(name)}")
        return name


def _name(word: str) -> str:
    """A folder's name from how it is written on the wire; INBOX is the same in lower case."""
    return INBOX if word.upper() == INBOX else decode_folder(word)


def _time(text: str) -> datetime | None:
    """APPEND's date; one that cannot be read counts as none."""
    with suppress(ValueError):
        return datetime.strptime(text.strip(), "%d-%b-%Y %H:%M:%S %z")
    return None
