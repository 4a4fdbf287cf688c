"""A folder that other clients change while it is read, on a server that fails now and then: nothing is lost (I5)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.imap_commands import MailCommands
from mailboxes.sandbox.imap_words import parse
from mailboxes.sandbox.open_folder import Renumbered
from mailboxes.wire.imap import ImapSession
from mailboxes.wire.imap_read import Progress, read_folder
from mailboxes.wire.imap_reply import READING, ImapParser
from mailboxes.wire.imap_visit import wider
from mailboxes.wire.values import Limits, Security, Stage, WireFault
from mailboxes.wire.visits import Cursor, FolderRead, Role
from tests.make import secret

LONG_AGO = date(2000, 1, 1)
MOST_TRIES = 3


@dataclass
class Reader:
    """What is stored of a folder: messages, the cursor, and what could not be read, as `inbox.storing` keeps them."""

    account: Account
    cursor: Cursor = field(default_factory=lambda: Cursor(Role.INBOX, "INBOX", 0, 0, LONG_AGO))
    stored: Counter[tuple[int, int]] = field(default_factory=Counter)
    texts: dict[tuple[int, int], bytes] = field(default_factory=dict)
    tries: Counter[tuple[int, int]] = field(default_factory=Counter)

    def visit(self, meddle: Callable[[str, bytes], bytes]) -> FolderRead:
        """One visit; `meddle` is given each command and its answer, and gives the answer that is sent. After one that
        begins with BYE the connection is gone."""
        progress = Progress(self.cursor, self.cursor.uidvalidity, self.cursor.last_uid)
        try:
            self._talk(progress, meddle)
        except WireFault as fault:
            if progress.asked:
                progress.blame(fault.code)
        read = progress.read()
        self._keep(read)
        return read

    def _talk(self, progress: Progress, meddle: Callable[[str, bytes], bytes]) -> None:
        commands, parser = MailCommands(self.account), ImapParser(wider(Limits()), READING, keep_literals=True)
        parser.feed(b"* OK ready\r\n")
        parser.next_reply()
        talk = read_folder(ImapSession(Security.SSL), self.cursor, progress)
        try:
            action = next(talk)
            while True:
                for line in getattr(action, "data", b"").decode().splitlines():
                    try:
                        said = commands.reply(parse(line, []))
                    except Renumbered:
                        said = b"* BYE another UIDVALIDITY\r\n"
                    parser.feed(meddle(line, said))
                reply = parser.next_reply()
                if reply is None:  # the BYE stood where a literal's bytes were to come
                    raise WireFault(Stage.READ, "EOF", "")
                action = talk.send(reply)
        except StopIteration:
            return

    def _keep(self, read: FolderRead) -> None:
        same = read.uidvalidity == self.cursor.uidvalidity
        assert not same or read.last_uid >= self.cursor.last_uid, "a cursor never goes back"
        for message in read.messages:
            self.stored[read.uidvalidity, message.uid] += 1
            self.texts[read.uidvalidity, message.uid] = message.raw
        over = self.cursor.passed_over if same else frozenset()
        singly = read.unread is not None
        if read.unread is not None and read.unread.alone:
            key = (read.uidvalidity, read.unread.uid)
            self.tries[key] += 1
            if self.tries[key] >= MOST_TRIES:
                over, singly = over | {read.unread.uid}, False
        self.cursor = replace(
            self.cursor, uidvalidity=read.uidvalidity, last_uid=read.last_uid, passed_over=over, singly=singly
        )


def make_account() -> Account:
    return Account("a@b.test", secret())


def text(number: int) -> bytes:
    return f"Message-ID: <{number}@b.test>\r\n\r\nBODY[] UID {number} FLAGS (\\Seen)\r\n".encode() + b"x" * number


def unchanged(_command: str, said: bytes) -> bytes:
    return said


def read_all(reader: Reader, meddle: Callable[[str, bytes], bytes] = unchanged) -> None:
    for _visit in range(100):
        if reader.visit(meddle).complete:
            return
    raise AssertionError("the folder is never read to its end")


Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "expunge", "flag", "renumber", "gap", "bye", "no", "stand-in", "empty",
                               "lower", "unasked", "visit"]), st.integers(0, 1000)), max_size=25,
)  # fmt: skip
STAND_IN = b"From: System Administrator\r\n\r\nmessage unavailable" + b"." * 500


class World:
    """Other clients and the server's moods: steps are taken between the commands of a visit."""

    def __init__(self, account: Account, steps: list[Step]) -> None:
        self.account = account
        self.steps = list(steps)
        self.number = 0

    def append(self, amount: int) -> None:
        for _one in range(amount):
            self.number += 1
            self.account.deliver(text(self.number))

    def meddle(self, command: str, said: bytes) -> bytes:
        """Take one step, and give the answer that the client hears."""
        name, value = self.steps.pop(0) if self.steps else ("visit", 0)
        messages = self.account.folders["INBOX"]
        fetches = "FETCH" in command and b"FETCH (" in said
        if name == "append":
            self.append(value % 5 + 1)
        elif name == "expunge" and messages:
            self.account.take("INBOX", [messages[value % len(messages)]])
        elif name == "flag" and messages:
            messages[value % len(messages)].flags.add("\\Seen")
        elif name == "renumber":
            self.account.renumber("INBOX")
        elif name == "gap":
            self.account.next_uids["INBOX"] = self.account.next_uid("INBOX") + value * 1000
        elif name == "bye" and fetches:
            return b"".join(said.splitlines(keepends=True)[: value % 3]) + b"* BYE out of order\r\n"
        elif name == "no" and fetches:
            return command.split()[0].encode() + b" NO out of order\r\n"
        elif name in ("stand-in", "empty") and fetches and "BODY" in command:
            return _without_bodies(command, said, b"" if name == "empty" else STAND_IN)
        elif name == "lower" and fetches and "BODY" not in command:
            return said.replace(b"FLAGS", b"flags").replace(b"UID ", b"uid ").replace(b"RFC822.SIZE", b"rfc822.size")
        elif name == "unasked" and fetches:
            return b"* 1 FETCH (FLAGS (\\Seen))\r\n" + said
        return said


def _without_bodies(command: str, said: bytes, instead: bytes) -> bytes:
    uids = [int(word) for word in command.split()[3].split(",")]
    lines = [b"* 1 FETCH (UID %d BODY[]<0> {%d}\r\n%b)\r\n" % (uid, len(instead), instead) for uid in uids]
    return b"".join(lines) + command.split()[0].encode() + b" OK done\r\n"


@settings(max_examples=150, deadline=None)
@given(begin=st.integers(0, 120), steps=STEPS)
def test_i5_every_message_that_stays_is_stored_once_or_noted(begin: int, steps: list[Step]) -> None:
    account = make_account()
    world, reader = World(account, steps), Reader(account)
    world.append(begin)
    for _visit in range(30):
        reader.visit(world.meddle)
    read_all(reader)
    validity = account.validity("INBOX")
    assert max(reader.stored.values(), default=1) == 1, "under one UIDVALIDITY nothing is stored twice"
    for message in account.folders["INBOX"]:
        key = (validity, message.uid)
        noted = message.uid in reader.cursor.passed_over or reader.tries[key] >= MOST_TRIES
        assert noted or reader.texts.get(key) == message.raw
    assert all(raw.startswith(b"Message-ID:") for raw in reader.texts.values()), "no stand-in is mail"


@pytest.mark.parametrize("mood", ["bye", "no", "empty", "silent"])
@pytest.mark.parametrize("bad", [1, 30, 60])
def test_srv3_one_message_that_never_comes_is_stepped_over(mood: str, bad: int) -> None:
    account = make_account()
    World(account, []).append(60)
    reader = Reader(account)

    def meddle(command: str, said: bytes) -> bytes:
        tag, *words = command.split()
        if "BODY" not in command or str(bad) not in words[2].split(","):
            return said
        if mood == "bye":
            return b"* BYE FETCH failed: Internal error occurred.\r\n"
        if mood == "no":
            words_of_exchange = "NO The requested message could not be converted to an RFC-822 compatible format."
            return f"{tag} {words_of_exchange}\r\n".encode()
        return f"{tag} OK done\r\n".encode() if mood == "silent" else _without_bodies(command, said, b"")

    read_all(reader, meddle)
    assert set(reader.stored) == {(account.validity("INBOX"), uid) for uid in range(1, 61) if uid != bad}
    assert reader.tries[account.validity("INBOX"), bad] == MOST_TRIES


def test_srv8_uids_two_million_apart_are_found_in_one_visit() -> None:
    account = make_account()
    world, reader = World(account, []), Reader(account)
    world.append(1)
    read_all(reader)
    account.next_uids["INBOX"] = 2_000_000
    world.append(1)
    assert reader.visit(unchanged).complete
    assert reader.cursor.last_uid == 2_000_000


def test_srv8_a_long_backlog_moves_on_by_200_in_a_visit() -> None:
    account = make_account()
    world, reader = World(account, []), Reader(account)
    world.append(450)
    assert [len(reader.visit(unchanged).messages) for _visit in range(3)] == [200, 200, 50]


def test_code15_a_server_that_lies_about_uidnext_moves_no_cursor() -> None:
    account = make_account()
    reader = Reader(account)
    account.next_uids["INBOX"] = 10
    World(account, []).append(3)

    def lie(_command: str, said: bytes) -> bytes:
        return said.replace(b"UIDNEXT 13", b"UIDNEXT 4294967295")

    read_all(reader, lie)
    for _visit in range(3):
        assert reader.visit(lie).complete
    assert reader.cursor.last_uid == 12


def test_srv2_a_message_that_search_does_not_tell_is_read_when_it_does() -> None:
    account = make_account()
    reader = Reader(account)
    World(account, []).append(3)
    late = random.Random(1)

    def forgetful(command: str, said: bytes) -> bytes:
        if "SEARCH" in command and late.random() < 0.5:
            return b"* SEARCH\r\n" + said.splitlines(keepends=True)[-1]
        return said

    for _visit in range(20):
        reader.visit(forgetful)
    read_all(reader)
    assert len(reader.stored) == 3
