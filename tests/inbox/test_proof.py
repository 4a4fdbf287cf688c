"""Direction first, and what proves a report (SPEC M1, M4, M6; findings SEC-7, MAIL-5, MAIL-6, mutant 22)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User

from mailboxes.inbox import conversation
from mailboxes.inbox.matching import Arrival, rows_of
from mailboxes.inbox.parsing import Kind, parse
from mailboxes.models import InMessage, Mailbox, OutMessage
from mailboxes.outbox import queue
from mailboxes.outbox.marks import HEADER, is_ours, mark, named
from mailboxes.wire.visits import Fetched, Role
from tests.campaigns.desk import ready
from tests.make import START, make_workspace

pytestmark = pytest.mark.django_db
LEAD = "kim@lead.test"
DAY = timedelta(days=1)


def wrote(mailbox: Mailbox, to: str = LEAD, purpose: str = "campaign", at: datetime = START) -> OutMessage:
    """A message of ours that its server took."""
    [row] = queue.put([queue.Draft(mailbox, purpose, to, "Hello", "Hi.", at)], at)
    OutMessage.objects.filter(pk=row.pk).update(state="sent", sent_at=at, on_wire_at=at)
    return row


def came(mailbox: Mailbox, head: str, body: str = "Hello", now: datetime = START) -> InMessage:
    """The row of a message that was found in the mailbox."""
    raw = f"{head}\n\n{body}\n".encode()
    fetched = Fetched(1, raw, len(raw), False, START)
    [row] = rows_of([Arrival(mailbox.pk, mailbox.address, Role.INBOX, fetched, parse(raw, len(raw)))], now)
    row.save()
    return row


def report(returned: str, recipient: str = LEAD, head: str = "") -> tuple[str, str]:
    """A delivery report as anybody can write it, with the headers that it returns."""
    block = f"Reporting-MTA: dns; x.test\n\nFinal-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.1.1"
    parts = f"Content-Type: message/delivery-status\n\n{block}\n\n--b\nContent-Type: text/rfc822-headers\n\n{returned}"
    top = "From: MAILER-DAEMON@x.test\nContent-Type: multipart/report; report-type=delivery-status; boundary=b"
    return f"{top}\n{head}".strip(), f"--b\nContent-Type: text/plain\n\nIt failed.\n\n--b\n{parts}\n\n--b--"


def complaint(returned: str, kind: str = "abuse") -> tuple[str, str]:
    """A complaint as providers write them (RFC 5965)."""
    fields = f"Feedback-Type: {kind}\nUser-Agent: x/1\nVersion: 1\nOriginal-Rcpt-To: {LEAD}"
    top = "From: fbl@x.test\nContent-Type: multipart/report; report-type=feedback-report; boundary=b"
    parts = f"--b\nContent-Type: message/feedback-report\n\n{fields}\n\n--b\nContent-Type: message/rfc822\n\n{returned}"
    return top, f"{parts}\n\nHello\n--b--"


# ---- what proves a report


def test_m4_our_message_id_proves_a_report() -> None:
    [mailbox] = ready(make_workspace())
    out = wrote(mailbox)
    row = came(mailbox, *report(f"Message-ID: {out.message_id}"))
    assert (row.kind, row.answers, row.proved, row.waits_for) == ("bounce", out, True, "campaign")


def test_m4_our_signed_mark_proves_a_report_whose_message_id_was_rewritten() -> None:
    [mailbox] = ready(make_workspace())
    out = wrote(mailbox)
    returned = f"Message-ID: <0100-rewritten@relay.test>\n{HEADER}: {out.headers[HEADER].replace(' ', chr(10) + ' ')}"
    for row in (
        came(mailbox, *report(returned)),
        came(mailbox, *report("Subject: x", head="Subject: 2"), now=START),
    ):
        assert row.answers == out
        assert row.proved is (row.subject == "")
    quoted = (
        f"Hi. This is the qmail-send program.\n\n<{LEAD}>:\n550 5.1.1 no such user\n\n--- Below this line\n{returned}"
    )
    row = came(mailbox, "From: MAILER-DAEMON@x.test\nSubject: failure notice", quoted)
    assert (row.kind, row.answers, row.proved) == ("bounce", out, True)


@pytest.mark.parametrize("change", ["signature", "recipient", "message", "other mailbox"])
def test_sec7_a_made_up_or_copied_mark_proves_nothing(change: str) -> None:
    mailbox, other = ready(make_workspace(), 2)
    out, another = wrote(mailbox), wrote(mailbox, "eve@lead.test")
    signature = out.headers[HEADER].split()[1]
    made_up = {
        "signature": f"{out.message_id} {signature[:-4]}AAAA",
        "recipient": mark(out.message_id, "eve@lead.test"),
        "message": f"{another.message_id} {signature}",
        "other mailbox": out.headers[HEADER],
    }[change]
    found = came(other if change == "other mailbox" else mailbox, *report(f"{HEADER}: {made_up}"))
    assert not found.proved


@pytest.mark.parametrize(("days", "held"), [(0, True), (6.9, True), (7.1, False)])
def test_m4_a_report_without_proof_is_about_an_address_written_to_within_seven_days(days: float, held: bool) -> None:
    mailbox, other = ready(make_workspace(), 2)
    out = wrote(mailbox)
    head, body = report("Subject: Hello")
    found = came(mailbox, head, body, now=START + timedelta(days=days))
    assert (found.answers, found.proved, found.waits_for) == (out if held else None, False, "campaign" if held else "")
    assert came(other, head, body).answers is None, "it was another mailbox that wrote"


def test_mail17_a_complaint_is_one_and_our_proof_counts_there_too() -> None:
    [mailbox] = ready(make_workspace())
    out = wrote(mailbox)
    row = came(mailbox, *complaint(f"Message-ID: {out.message_id}"))
    assert (row.kind, row.answers, row.proved, row.waits_for) == ("complaint", out, True, "campaign")
    row = came(mailbox, *complaint(f"{HEADER}: {out.headers[HEADER]}\nTo: redacted", "fraud"))
    assert (row.kind, row.answers, row.proved) == ("complaint", out, True)
    row = came(mailbox, *complaint("Subject: x", "opt-out"))
    assert (row.kind, row.answers, row.proved) == ("complaint", out, False)


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_mail17_a_report_of_no_complaint_is_none(kind: str) -> None:
    head, body = complaint("Message-ID: <a@b.test>", kind)
    raw = f"{head}\n\n{body}".encode()
    assert (parse(raw, len(raw)).kind, parse(raw, len(raw)).complaint) == (Kind.AUTO_REPLY, None)


def test_m4_every_message_carries_a_mark_that_names_it() -> None:
    [mailbox] = ready(make_workspace())
    for purpose in OutMessage.Purpose.values:
        row = wrote(mailbox, "Kim@Lead.test", purpose)
        value = OutMessage.objects.get(pk=row.pk).headers[HEADER]
        assert named(value) == row.message_id
        assert is_ours(value, row.message_id, LEAD) and not is_ours(value, row.message_id, "eve@lead.test")
        assert is_ours(value.split()[1], row.message_id, LEAD), "marks of the version before name no message"
    assert [named(value) for value in ("", "sig", "a b")] == ["", "", ""]


# ---- warm-up


def warm(mailbox: Mailbox, out: OutMessage, value: str) -> InMessage:
    return came(mailbox, f"From: a@b.test\nMessage-ID: {out.message_id}\nSubject: {value}\n{HEADER}: {value}")


def test_mutant22_a_copied_or_forged_warm_up_message_is_not_taken_for_ours() -> None:
    [sender], [peer], [victim] = (ready(make_workspace()) for _number in range(3))
    out = wrote(sender, peer.address, "warmup")
    real = OutMessage.objects.get(pk=out.pk).headers[HEADER]
    assert warm(peer, out, real).kind == "warmup"
    assert warm(peer, out, real.split()[1]).kind == "warmup", "one that was under way before marks named messages"
    assert warm(peer, out, "").kind == "message", "our Message-ID alone"
    assert warm(peer, out, mark(out.message_id, victim.address)).kind == "message", "signed for somebody else"
    assert warm(peer, out, f"{out.message_id} made-up").kind == "message"
    assert warm(victim, out, real).kind == "message", "copied to another mailbox"


def test_m4_a_signed_campaign_message_is_no_warm_up() -> None:
    [sender], [receiver] = (ready(make_workspace()) for _number in range(2))
    out = wrote(sender, receiver.address)
    assert warm(receiver, out, out.headers[HEADER]).kind == "message"


# ---- direction


@pytest.mark.parametrize("sender", ["own", "OWN"])
def test_mail5_what_the_mailbox_itself_sent_is_never_an_answer(sender: str) -> None:
    [mailbox] = ready(make_workspace())
    out = wrote(mailbox)
    address = mailbox.address.upper() if sender == "OWN" else mailbox.address
    head = f"From: Us <{address}>\nTo: {LEAD}\nIn-Reply-To: {out.message_id}\nMessage-ID: <phone@ours.test>"
    row = came(mailbox, head, "Did you see my mail?")
    assert (row.kind, row.answers, row.waits_for, row.thread) == ("own", None, "", out.message_id)


def test_mail5_copies_of_what_we_sent_are_none_in_whatever_mailbox_of_the_workspace() -> None:
    mailbox, other = ready(make_workspace(), 2)
    [stranger] = ready(make_workspace())
    first, second = wrote(mailbox), wrote(mailbox)
    head = f"From: an-alias@ours.test\nMessage-ID: {second.message_id}\nIn-Reply-To: {first.message_id}"
    assert [came(one, head).kind for one in (mailbox, other, stranger)] == ["own", "own", "message"]


def test_mail5_a_colleague_in_the_conversation_is_not_the_lead() -> None:
    mailbox, colleague = ready(make_workspace(), 2)
    out = wrote(mailbox)
    head = f"From: {colleague.address}\nMessage-ID: <c@ours.test>\nIn-Reply-To: {out.message_id}"
    row = came(mailbox, head, "I know Kim.")
    assert (row.kind, row.answers) == ("message", None)


def test_mail5_another_mailbox_of_ours_that_is_the_lead_answers() -> None:
    mailbox, lead = ready(make_workspace(), 2)
    out = wrote(mailbox, lead.address)
    answer = wrote(lead, mailbox.address, "reply")
    head = f"From: {lead.address}\nMessage-ID: {answer.message_id}\nIn-Reply-To: {out.message_id}"
    row = came(mailbox, head, "Yes.")
    assert (row.kind, row.answers, row.waits_for) == ("message", out, "campaign")


def test_mail5_a_contact_form_in_the_mailboxs_name_stays_in_the_inbox() -> None:
    [mailbox] = ready(make_workspace())
    row = came(mailbox, f"From: {mailbox.address}\nReply-To: visitor@b.test\nMessage-ID: <form@b.test>", "Call me.")
    assert (row.kind, row.answers, row.reply_to) == ("message", None, "visitor@b.test")
    assert list(conversation.from_people()) == [row]


def test_mail5_a_copy_is_shown_once_and_as_ours(support: User) -> None:
    [mailbox] = ready(make_workspace())
    out = wrote(mailbox)
    copy = came(mailbox, f"From: {mailbox.address}\nMessage-ID: {out.message_id}")
    phone = f"From: {mailbox.address}\nMessage-ID: <phone@ours.test>\nReferences: {out.message_id}"
    came(mailbox, phone, "From my phone.")
    assert not conversation.from_people().exists()
    lines = conversation.conversation(copy)
    assert sorted((line.is_ours, line.text.strip()) for line in lines) == [(True, "From my phone."), (True, "Hi.")]
    with pytest.raises(conversation.CannotReply):
        conversation.reply(copy, "Me again", acting_user=support, now=START)


# ---- Reply-To


def test_mail6_an_answer_goes_where_the_sender_asks_for_it(support: User) -> None:
    [mailbox] = ready(make_workspace())
    out = wrote(mailbox)
    head = f"From: Kim via CRM <noreply@crm.test>\nReply-To: Kim Lead <kim@lead.test>\nIn-Reply-To: {out.message_id}"
    row = came(mailbox, head, "Yes, tell me more.")
    assert (row.from_address, row.answers) == ("noreply@crm.test", out)
    assert conversation.reply(row, "Gladly.", acting_user=support, now=START).recipient == "kim@lead.test"


@pytest.mark.parametrize("asked", ["", "nobody", "<>", "undisclosed:;", "own", "colleague"])
def test_mail6_a_reply_to_that_is_no_address_or_ours_is_not_used(support: User, asked: str) -> None:
    mailbox, colleague = ready(make_workspace(), 2)
    asked = {"own": mailbox.address, "colleague": colleague.address}.get(asked, asked)
    row = came(mailbox, f"From: kim@lead.test\nReply-To: {asked}\nMessage-ID: <r@lead.test>")
    assert row.reply_to == ""
    assert conversation.reply(row, "Gladly.", acting_user=support, now=START).recipient == "kim@lead.test"
