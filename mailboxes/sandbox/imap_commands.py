"""What a session does with messages over IMAP, and how each command is answered. No connection here: commands in,
replies out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mailboxes.sandbox.account import Account, Message
from mailboxes.sandbox.imap_fetch import fetched, flags_of
from mailboxes.sandbox.imap_folders import DELETED, FolderCommands, Lines
from mailboxes.sandbox.imap_search import search_test
from mailboxes.sandbox.imap_words import Command, Refused, flag

_BY_NUMBER = ("FETCH", "STORE", "SEARCH")  # no EXPUNGE may be told during these (RFC 3501 7.4.1)


class MailCommands(FolderCommands):
    """Everything that one session may ask after its login."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._commands: dict[str, Callable[[Command], Lines]] = {
            "NOOP": lambda _command: [],
            "CHECK": lambda _command: [],
            "LIST": self.list_folders,
            "CREATE": self.create,
            "SELECT": partial(self.select, read_only=False),
            "EXAMINE": partial(self.select, read_only=True),
            "APPEND": self.append,
            "CLOSE": self.close,
            "UNSELECT": self.unselect,
            "SEARCH": self._search,
            "FETCH": self._fetch,
            "STORE": self._store,
            "COPY": self._copy,
            "MOVE": self._move,
            "EXPUNGE": self._expunge,
        }

    def reply(self, command: Command) -> bytes:
        """Everything that the server says to the command: what is new in the folder, the data, the tagged line."""
        lines: Lines = []
        self.code = ""
        with self.account.lock:
            try:
                lines += self._news(command)
                lines += self._command(command)
                final = f"OK {self.code}done"
            except Refused as refusal:
                final = str(refusal)
            lines += self._news(command)
        return b"".join(line + b"\r\n" for line in [*lines, f"{command.tag} {final}".encode()])

    def _command(self, command: Command) -> Lines:
        if command.verb not in self._commands:
            raise Refused("BAD unknown command")
        return self._commands[command.verb](command)

    def _news(self, command: Command) -> Lines:
        if self.open is None or command.verb in ("SELECT", "EXAMINE"):
            return []
        return self.open.news(tells_expunged=command.by_uid or command.verb not in _BY_NUMBER)

    def _search(self, command: Command) -> Lines:
        fits = search_test(command.words, self.opened())
        hits = [(number, one) for number, one in self.opened().numbered() if fits(number, one)]
        found = " ".join(str(one.uid if command.by_uid else number) for number, one in hits)
        return [f"* SEARCH {found}".rstrip().encode()]

    def _fetch(self, command: Command) -> Lines:
        folder = self.opened()
        items = command.rest(1)
        chosen = folder.chosen(command.text(0), command.by_uid)
        return [fetched(number, one, items, command.by_uid, folder.read_only) for number, one in chosen]

    def _store(self, command: Command) -> Lines:
        chosen = self.writable().chosen(command.text(0), command.by_uid)
        how, _, silent = command.text(1).upper().partition(".")
        named = {flag(name) for name in command.rest(2)}
        for _, message in chosen:
            message.flags = _changed(message.flags, how, named)
        if silent:
            return []
        return [f"* {number} FETCH ({_uid(command, one)}{flags_of(one)})".encode() for number, one in chosen]

    def _copy(self, command: Command) -> Lines:
        self.code = self._copied(command)[1]
        return []

    def _move(self, command: Command) -> Lines:
        self.writable()
        moved, code = self._copied(command)
        self.remove(moved)
        return [f"* OK {code}moved".encode()] if code else []

    def _copied(self, command: Command) -> tuple[list[Message], str]:
        """The messages that were copied, and the code that says under which UIDs."""
        chosen = [one for _, one in self.opened().chosen(command.text(0), command.by_uid)]
        target = self.existing(command.text(1))
        copies = [self.account.keep(one.raw, target, one.flags, one.internal_date) for one in chosen]
        old, new = (",".join(str(one.uid) for one in ones) for ones in (chosen, copies))
        return chosen, f"[COPYUID {self.account.validity(target)} {old} {new}] " if chosen else ""

    def _expunge(self, command: Command) -> Lines:
        folder = self.writable()
        named = folder.chosen(command.text(0), by_uid=True) if command.by_uid else folder.numbered()
        self.remove([message for _, message in named if DELETED in message.flags])
        return []


def _uid(command: Command, message: Message) -> str:
    return f"UID {message.uid} " if command.by_uid else ""


def _changed(flags: set[str], how: str, named: set[str]) -> set[str]:
    if how == "+FLAGS":
        return flags | named
    if how == "-FLAGS":
        return flags - named
    if how == "FLAGS":
        return named
    raise Refused(f"BAD unknown item: {how}")
