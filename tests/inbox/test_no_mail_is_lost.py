"""Servers that do not give what they announced: nothing is lost, nothing stops, the unreadable is noted (I5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Reply
from mailboxes.health.outgoing import Outgoing
from mailboxes.inbox import storing
from mailboxes.inbox.plans import plan_visits
from mailboxes.inbox.visiting import read as visit
from mailboxes.models import Credential, FolderCursor, InboxState, InMessage, Mailbox, UnreadMessage
from mailboxes.models.destination import destination_of
from mailboxes.models.mailbox import READ_LATELY
from mailboxes.panels import panels
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg, Report, Security
from mailboxes.wire.visits import Cursor, FolderRead, Role, Visit
from tests.make import FAST, Clock, make_mailbox, make_outgoing, make_workspace
from tests.post import connect, make_workers, read
from tests.sandbox.clients import letter
from tests.wire.imap_peer import Answer, ImapPeer, folder
from tests.wire.talker import HOST, reach

pytestmark = pytest.mark.django_db
MAIL = b"Message-ID: <10@b.test>\r\nFrom: a@b.test\r\n\r\nUID 77 of FLAGS (\\Seen)"
HEAD = b'* %d FETCH (UID %d FLAGS () INTERNALDATE "27-Nov-2026 10:00:00 +0000" RFC822.SIZE %d)\r\n'


def body(uid: int, raw: bytes = MAIL) -> bytes:
    return b"* 1 FETCH (UID %d BODY[]<0> {%d}\r\n%b)\r\n" % (uid, len(raw), raw)


def mail(uid: int) -> bytes:
    return MAIL.replace(b"<10@", b"<%d@" % uid)


def server(uids: list[int], **answers: bytes) -> Answer:
    """A server with these messages; `head` and `body` answer FETCH in its place."""
    standing = folder(dict.fromkeys(uids, b""))

    def answer(tag: str, command: str) -> bytes:
        told = next((said for name, said in standing.items() if command.upper().startswith(name)), b"")
        if command.startswith("UID FETCH"):
            asked = [int(word) for word in command.split()[2].split(",")]
            kind = "body" if "BODY" in command else "head"
            usual = [body(uid, mail(uid)) if kind == "body" else HEAD % (uid, uid, len(mail(uid))) for uid in asked]
            told = answers.get(kind, b"".join(usual))
            bad = answers.get("bad", b"")
            if kind == "body" and bad and 11 in asked:
                if bad.startswith(b"* BYE"):
                    return bad
                if b"{" in bad:
                    return bad + f"{tag} OK done\r\n".encode()
                return tag.encode() + b" " + bad
        return told + f"{tag} OK done\r\n".encode()

    return answer


@contextmanager
def talking(sandbox: Sandbox, clock: Clock, answer: Answer) -> Iterator[tuple[Mailbox, Outgoing, ImapPeer]]:
    """A mailbox at this server, connected as far as reading is concerned."""
    with ImapPeer(tls=sandbox.authority.context(HOST, "")) as peer:
        peer.answer, peer.lines = answer, []
        connector, place = reach(sandbox, peer, FAST, Security.SSL)
        [(mailbox, _account)] = make_workers(sandbox, 1)
        connect([mailbox], make_outgoing(sandbox, clock))
        Mailbox.objects.filter(pk=mailbox.pk).update(imap_host=place.host, imap_port=place.port)
        mailbox.refresh_from_db()
        Credential.objects.filter(mailbox=mailbox).update(destination=destination_of(vars(mailbox)))
        FolderCursor.objects.all().delete()
        InboxState.objects.update(places={}, places_at=None)
        yield mailbox, replace(make_outgoing(sandbox, clock), mail=connector), peer


def stored() -> list[str]:
    return sorted(InMessage.objects.values_list("message_id", flat=True))


@pytest.mark.parametrize(
    "answers",
    [
        {"body": body(10) + b"* 1 FETCH (UID 10 FLAGS (\\Seen))\r\n"},
        {"head": b"* 1 fetch (uid 10 flags () rfc822.size %d)\r\n" % len(MAIL)},
        {"body": b"* 1 FETCH (BODY[]<0> {%d}\r\n%b UID 10)\r\n" % (len(MAIL), MAIL)},
    ],
    ids=["flags-after-body", "lower-case", "body-before-uid"],
)
def test_srv2_no_legal_answer_loses_the_message(sandbox: Sandbox, clock: Clock, answers: dict[str, bytes]) -> None:
    with talking(sandbox, clock, server([10], **answers)) as (mailbox, outgoing, _peer):
        visit([mailbox.pk], outgoing)
        assert stored() == ["<10@b.test>"]
        assert FolderCursor.objects.get(role="inbox").last_uid == 10


@pytest.mark.parametrize(
    "bad",
    [
        b"* BYE FETCH failed: Internal error occurred.\r\n",
        b"NO The requested message could not be converted to an RFC-822 compatible format.\r\n",
        b"* 1 FETCH (UID 11 BODY[]<0> {0}\r\n)\r\n",
        b"* 1 FETCH (UID 11 BODY[]<0> {700000}\r\n" + b"x" * 700_000 + b")\r\n",
    ],
    ids=["dovecot", "exchange", "hoodiecrow", "whole-message"],
)
def test_srv3_an_unreadable_message_is_noted_and_stepped_over(sandbox: Sandbox, clock: Clock, bad: bytes) -> None:
    with talking(sandbox, clock, server([10, 11, 12], bad=bad)) as (mailbox, outgoing, _peer):
        for _visit in range(8):
            visit([mailbox.pk], outgoing)
            waits = InboxState.objects.get(mailbox=mailbox).next_read_at
            assert waits is not None and waits > clock.now, "nothing more comes at once"
            clock.move(minutes=5)
        assert stored() == ["<10@b.test>", "<12@b.test>"]
        noted = UnreadMessage.objects.get()
        assert (noted.mailbox, noted.folder, noted.uidvalidity, noted.uid, noted.tries) == (mailbox, "INBOX", 7, 11, 3)
        assert noted.noted_at is not None and noted.reason
        assert Mailbox.objects.get(pk=mailbox.pk).status == "connected", "one message says nothing of the mailbox"
        assert FolderCursor.objects.get(role="inbox").last_uid == 12


def test_srv3_sending_never_waits_for_an_unreadable_message(sandbox: Sandbox, clock: Clock) -> None:
    bad = b"NO The requested message could not be converted to an RFC-822 compatible format.\r\n"
    with talking(sandbox, clock, server([10, 11, 12], bad=bad)) as (mailbox, outgoing, _peer):
        began, last_read = clock.now, InboxState.objects.get(mailbox=mailbox).complete_at
        visit([mailbox.pk], outgoing)
        while (state := InboxState.objects.get(mailbox=mailbox)).complete_at == last_read:
            assert state.next_read_at is not None and clock.now < state.next_read_at < began + READ_LATELY
            clock.now = state.next_read_at
            visit([mailbox.pk], outgoing)
        assert UnreadMessage.objects.get().noted_at is not None
        assert Mailbox.objects.can_send(clock.now).filter(pk=mailbox.pk).exists()


def test_srv3_a_message_that_comes_at_the_second_try_leaves_no_note(sandbox: Sandbox, clock: Clock) -> None:
    with talking(sandbox, clock, server([10, 11, 12], bad=b"* BYE out of order\r\n")) as (mailbox, outgoing, peer):
        visit([mailbox.pk], outgoing)
        assert FolderCursor.objects.get(role="inbox").last_uid < 11
        peer.answer = server([10, 11, 12])
        clock.move(minutes=5)
        visit([mailbox.pk], outgoing)
        assert len(stored()) == 3
        assert not UnreadMessage.objects.exists()


def test_srv13_a_stand_in_for_an_expunged_message_is_no_mail(sandbox: Sandbox, clock: Clock) -> None:
    gone = False

    def answer(tag: str, command: str) -> bytes:
        nonlocal gone
        if "BODY" in command:
            gone = True
            stand_in = b"From: System Administrator\r\n\r\nmessage unavailable\r\n"
            return body(10, mail(10)) + body(11, stand_in) + f"{tag} OK done\r\n".encode()
        return server([10] if gone else [10, 11])(tag, command)

    with talking(sandbox, clock, answer) as (mailbox, outgoing, _peer):
        visit([mailbox.pk], outgoing)
        assert stored() == ["<10@b.test>"]
        assert not UnreadMessage.objects.exists()
        assert FolderCursor.objects.get(role="inbox").last_uid == 11


def test_srv13_a_size_that_is_only_estimated_is_no_fault(sandbox: Sandbox, clock: Clock) -> None:
    estimated = HEAD % (1, 10, len(MAIL) + 5)
    with talking(sandbox, clock, server([10], head=estimated)) as (mailbox, outgoing, _peer):
        visit([mailbox.pk], outgoing)
        assert stored() == ["<10@b.test>"]


def test_code15_a_server_that_lies_about_uidnext_is_visited_in_its_turn(sandbox: Sandbox, clock: Clock) -> None:
    honest = server([10])

    def answer(tag: str, command: str) -> bytes:
        return honest(tag, command).replace(b"UIDNEXT 100", b"UIDNEXT 4294967295")

    with talking(sandbox, clock, answer) as (mailbox, outgoing, _peer):
        for _visit in range(2):
            visit([mailbox.pk], outgoing)
            state = InboxState.objects.get(mailbox=mailbox)
            assert state.next_read_at is not None and state.next_read_at > clock.now
        assert FolderCursor.objects.get(role="inbox").last_uid == 10


@pytest.mark.parametrize("told", ["01-Jan-9999 00:00:00 +0000", "01-Jan-1970 00:00:00 +0000"])
def test_srv14_an_arrival_that_cannot_be_is_now(sandbox: Sandbox, clock: Clock, told: str) -> None:
    head = (HEAD % (1, 10, len(MAIL))).replace(b"27-Nov-2026 10:00:00 +0000", told.encode())
    with talking(sandbox, clock, server([10], head=head)) as (mailbox, outgoing, _peer):
        visit([mailbox.pk], outgoing)
        assert InMessage.objects.get().arrived_at == clock.now


def test_srv14_a_search_that_cannot_be_done_is_no_missing_folder() -> None:
    words = "A6 NO [CANNOT] Search is not supported here"
    assert engine().diagnose(Reply(words, "imap", "read")).category != "folder_missing"
    assert engine().diagnose(Reply("A6 NO [CANNOT] Invalid name", "imap", "select")).category == "folder_missing"


def test_srv8_an_archive_imported_behind_a_fresh_message_is_passed_over(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    for number in range(20_000):
        account.keep(b"Message-ID: <old-%d@b.test>\r\n\r\nold" % number, "INBOX", (), datetime(2019, 5, 1, tzinfo=UTC))
    account.deliver(letter("a@b.test", account.address, "<fresh@b.test>").as_bytes())
    account.keep(b"Message-ID: <undated@b.test>\r\n\r\nx", "INBOX", (), datetime(1970, 1, 1, tzinfo=UTC))
    clock.move(minutes=5)
    visit([mailbox.pk], outgoing)
    assert stored() == ["<fresh@b.test>", "<undated@b.test>"]
    assert FolderCursor.objects.get(role="inbox").last_uid == 20_002


def test_mutant23_a_late_reader_moves_no_cursor_back(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    early = plan_visits([mailbox.pk], clock.now)[mailbox.pk]
    before = FolderCursor.objects.get(role="inbox")
    account.deliver(letter("a@b.test", account.address, "<1@b.test>").as_bytes())
    clock.move(minutes=5)
    read(outgoing)
    assert FolderCursor.objects.get(role="inbox").last_uid == 1
    seen = Cursor(Role.INBOX, "INBOX", before.uidvalidity, before.last_uid, clock.now.date())
    late = Visit(Report(Leg.IMAP, ()), (FolderRead(seen, before.uidvalidity, before.last_uid, (), complete=True),))
    storing.store([storing.Brought(mailbox.pk, mailbox.address, early, late, clock.now)], clock.now)
    assert FolderCursor.objects.get(role="inbox").last_uid == 1


def test_i5_what_was_stepped_over_is_shown_to_customers_and_staff(clock: Clock, support: User, client: Client) -> None:
    mailbox = make_mailbox(workspace=make_workspace())
    UnreadMessage.objects.create(
        mailbox=mailbox, folder="INBOX", uidvalidity=7, uid=11, reason="NO <b>broken</b>", tries=3,
        first_at=clock.now, last_at=clock.now, noted_at=clock.now,
    )  # fmt: skip
    [(words, url)] = [line for one in panels(mailbox) for line in one.lines if "stepped over" in line[0]]
    assert words.startswith("1 message was stepped over")
    client.force_login(support)
    page = client.get(url).content.decode()
    assert "NO &lt;b&gt;broken&lt;/b&gt;" in page
