"""Reading real servers: cursors, gaps, folders, conversations (I1 to I4, R5)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.health import holds
from mailboxes.inbox import conversation, due, storing
from mailboxes.inbox.visiting import read as visit
from mailboxes.models import FolderCursor, InboxState, InMessage, Mailbox, OutMessage
from mailboxes.models.mailbox import READ_LATELY
from mailboxes.outbox import queue
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.imap_visit import named_folders
from mailboxes.wire.visits import Role
from tests.make import Clock, make_outgoing, secret
from tests.post import connect, make_campaign, make_workers, read, run
from tests.sandbox.clients import letter

pytestmark = pytest.mark.django_db


def write(account: Account, amount: int, folder: str = "INBOX", start: int = 0) -> None:
    for number in range(start, start + amount):
        account.deliver(letter("a@b.test", account.address, f"<{folder}-{number}@b.test>").as_bytes(), folder)


def stored(mailbox: Mailbox) -> list[str]:
    return sorted(InMessage.objects.filter(mailbox=mailbox).values_list("message_id", flat=True))


def test_i1_a_gap_longer_than_a_visit_is_read_in_pieces_and_whole(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    write(account, 230)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    assert len(stored(mailbox)) == 230
    assert FolderCursor.objects.get(mailbox=mailbox, role="inbox").last_uid == 230
    assert all(not message.flags for message in account.folders["INBOX"]), "reading marks nothing as read"


def test_i2_reading_pauses_while_the_mailbox_is_broken_and_picks_up_everything(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    sandbox.set_fault(account.address, faults()["never-answers"])
    for _time in range(2):  # H5: the second failure in a row takes it out of work
        clock.move(minutes=5)
        visit([mailbox.pk], outgoing)
    assert Mailbox.objects.get(pk=mailbox.pk).status == "suspect"
    write(account, 3)
    account.folders["INBOX"][0].flags.add("\\Seen")  # read on a telephone meanwhile
    InboxState.objects.update(next_read_at=clock.now)
    assert due.claim_due(10, clock.now) == []
    assert InboxState.objects.get(mailbox=mailbox).next_read_at is None
    sandbox.set_fault(account.address, NO_FAULT)
    clock.move(minutes=5)
    connect([mailbox], outgoing)
    assert len(stored(mailbox)) == 3


def test_r5_a_mailbox_can_send_again_only_when_its_gap_has_been_read(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, _account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    assert Mailbox.objects.can_send(clock.now).exists()
    holds.hold([mailbox.pk], reason="on holiday", acting_user=None, now=clock.now)
    clock.move(minutes=1)
    holds.release([mailbox.pk], acting_user=None, now=clock.now)
    assert not Mailbox.objects.can_send(clock.now).exists()
    assert due.claim_due(10, clock.now) == [mailbox.pk]
    visit([mailbox.pk], outgoing)
    assert Mailbox.objects.can_send(clock.now).exists()
    clock.move(minutes=44)
    assert Mailbox.objects.can_send(clock.now).exists(), "two readings may fail"
    clock.move(minutes=2)
    assert not Mailbox.objects.can_send(clock.now).exists(), "a reading that is too old says too little"


def test_i1_a_change_of_uidvalidity_loses_and_doubles_nothing(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    write(account, 60)
    connect([mailbox], outgoing)
    account.renumber("INBOX")
    write(account, 2, start=60)
    clock.move(minutes=5)
    read(outgoing)
    assert stored(mailbox) == sorted(f"<INBOX-{number}@b.test>" for number in range(62))


def test_e17_junk_is_read_as_well_and_a_message_that_moves_is_the_same_one(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    write(account, 1, "Junk")
    connect([mailbox], outgoing)
    assert InMessage.objects.get(mailbox=mailbox).role == "junk"
    [message] = account.folders["Junk"]
    account.take("Junk", [message])
    account.deliver(message.raw)
    clock.move(minutes=5)
    read(outgoing)
    assert len(stored(mailbox)) == 1


def test_i1_messages_and_cursor_are_stored_together_or_not_at_all(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    write(account, 2)
    clock.move(minutes=5)
    with monkeypatch.context() as broken:  # one answer that cannot be stored is logged, and stops no other
        broken.setattr(storing, "_write_states", lambda *_: (_ for _ in ()).throw(RuntimeError))
        visit([mailbox.pk], outgoing)
    assert (stored(mailbox), FolderCursor.objects.get(mailbox=mailbox, role="inbox").last_uid) == ([], 0)
    read(outgoing)
    assert len(stored(mailbox)) == 2


def test_i1_a_folder_whose_part_changes_is_read_on(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    write(account, 1, "Junk")
    connect([mailbox], outgoing)
    Mailbox.objects.update(imap_folder="Junk")
    write(account, 1, "Junk", start=1)
    write(account, 1)
    clock.move(minutes=5)
    read(outgoing)
    assert len(stored(mailbox)) == 2, "Junk is the inbox now, and the one that was is watched no more"
    Mailbox.objects.update(imap_folder="INBOX")
    write(account, 1, "Junk", start=2)
    clock.move(minutes=5)
    read(outgoing)
    assert len(stored(mailbox)) == 4


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_s2_a_folder_name_that_cannot_be_kept_is_passed_over(name: str) -> None:
    assert named_folders({name: "\\junk", "Spam": ""}, "INBOX") == {Role.JUNK: "Spam"}


def test_srv8_a_folder_with_large_gaps_of_uids_is_read_at_once(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    write(account, 1)
    connect([mailbox], outgoing)
    account.next_uids["INBOX"] = 2_000_000
    write(account, 1, start=1)
    clock.move(minutes=5)
    visit([mailbox.pk], outgoing)
    assert (len(stored(mailbox)), FolderCursor.objects.get(mailbox=mailbox, role="inbox").last_uid) == (2, 2_000_000)


def test_s2_a_message_larger_than_the_bound_is_kept_in_its_beginning(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    big = letter("a@b.test", account.address, "<big@b.test>")
    big.set_content("the beginning\n" + "x" * 70 + ("\n" + "y" * 70) * 20_000)
    account.deliver(big.as_bytes())
    write(account, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    found = InMessage.objects.get(message_id="<big@b.test>")
    assert found.text.startswith("the beginning") and len(found.text) <= 65_536 and found.size > 1_000_000
    assert len(stored(mailbox)) == 2


def test_h2_a_reading_that_is_refused_is_evidence(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    account.password = secret()
    clock.move(minutes=5)
    visit([mailbox.pk], outgoing)
    found = Mailbox.objects.get(pk=mailbox.pk)
    assert (found.status, found.failures.get().source) == ("suspect", "inbox_read")


def test_i4_mailboxes_of_running_campaigns_and_those_in_view_are_read_within_a_minute(
    sandbox: Sandbox, clock: Clock
) -> None:
    [(sends, _), (viewed, _), (other, _)] = make_workers(sandbox, 3)
    outgoing = make_outgoing(sandbox, clock)
    run(make_campaign([sends], ["a@b.test"]), clock.now)
    due.watch([viewed.pk], clock.now)
    connect([sends, viewed, other], outgoing)
    waits = {state.mailbox_id: state.next_read_at - clock.now for state in InboxState.objects.all()}  # type: ignore[operator]
    assert waits[sends.pk] == waits[viewed.pk] < timedelta(minutes=1) < waits[other.pk] <= timedelta(minutes=15)
    assert 3 * due.EVERY <= READ_LATELY, "sending does not wait for a mailbox that is read as seldom as it may be"


def test_i3_a_conversation_is_shown_both_ways_and_answered_in_its_thread(
    sandbox: Sandbox, clock: Clock, support: User
) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    draft = queue.Draft(mailbox, "campaign", "ann@b.test", "Hello", "Hi Ann.", clock.now)
    [sent] = queue.put([draft], clock.now)
    raw = letter("ann@b.test", account.address, "<1@b.test>", In_Reply_To=sent.message_id, Subject="Re: Hello")
    account.deliver(raw.as_bytes())
    clock.move(minutes=5)
    read(outgoing)
    found = InMessage.objects.get()
    answer = conversation.reply(found, "Thank you.", acting_user=support, now=clock.now)
    again = conversation.reply(found, "Thank you. ", acting_user=support, now=clock.now)
    assert answer.pk == again.pk, "pressing twice answers once"
    assert (answer.in_reply_to, answer.thread, answer.subject) == ("<1@b.test>", sent.message_id, "Re: Hello")
    lines = conversation.conversation(found)
    assert sorted((line.is_ours, line.text.strip()) for line in lines) == [
        (False, "hello"), (True, "Hi Ann."), (True, "Thank you."),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "  \n", "x" * 20_001])
def test_i3_an_answer_that_cannot_go_is_refused_with_the_reason(clock: Clock, support: User, text: str) -> None:
    found = InMessage(mailbox_id=0, from_address="a@b.test", subject="x", thread="t", message_id="<m>")
    with pytest.raises(conversation.CannotReply):
        conversation.reply(found, text, acting_user=support, now=clock.now)


def test_s5_a_stranger_cannot_answer_for_another_mailbox_by_its_message_id(sandbox: Sandbox, clock: Clock) -> None:
    (one, _), (two, account) = make_workers(sandbox, 2)
    outgoing = make_outgoing(sandbox, clock)
    connect([one, two], outgoing)
    [sent] = queue.put([queue.Draft(one, "campaign", "ann@b.test", "Hello", "Hi.", clock.now)], clock.now)
    forged = letter("eve@b.test", account.address, "<2@b.test>", In_Reply_To=sent.message_id)
    account.deliver(forged.as_bytes())
    clock.move(minutes=5)
    read(outgoing)
    found = InMessage.objects.get()
    assert (found.answers, found.waits_for) == (None, "")


def test_w1_a_forged_warm_up_header_hides_nothing_from_the_inbox(sandbox: Sandbox, clock: Clock) -> None:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    raw = letter("eve@b.test", account.address, "<3@b.test>", X_Postmend="made-up")
    account.deliver(raw.as_bytes())
    connect([mailbox], outgoing)
    assert InMessage.objects.get().kind == InMessage.Kind.MESSAGE


def test_reading_costs_the_same_queries_for_many_mailboxes(sandbox: Sandbox, clock: Clock) -> None:
    team = make_workers(sandbox, 12)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox for mailbox, _account in team], outgoing)
    counts = []
    for amount in (2, 12):
        for _mailbox, account in team:
            write(account, 1, start=len(account.folders["INBOX"]))
        clock.move(minutes=5)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            visit([mailbox.pk for mailbox, _account in team[:amount]], outgoing)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert OutMessage.objects.count() == 0
