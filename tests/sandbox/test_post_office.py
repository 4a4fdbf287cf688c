"""What is sent by SMTP arrives where the envelope says, once, and people answer as they are made to."""

from __future__ import annotations

import email
import random
import smtplib
from email.message import Message
from email.policy import default

import pytest

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.post_office import Person
from mailboxes.sandbox.server import Sandbox
from tests.make import make_account
from tests.sandbox.clients import imap, letter, raw, send, smtp


@pytest.fixture
def account(sandbox: Sandbox) -> Account:
    return make_account(sandbox)


def lead(sandbox: Sandbox, account: Account, manner: str = "silent", answers_after: int = 1) -> str:
    """A person of this manner; their address."""
    address = f"lead@outside.{account.address.partition('@')[2]}"
    sandbox.people[address] = Person(manner, answers_after)
    return address


def inbox(account: Account) -> list[Message]:
    return [email.message_from_bytes(message.raw) for message in account.folders["INBOX"]]


def parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    assert isinstance(payload, list)
    return [part for part in payload if isinstance(part, Message)]


def arrived(sandbox: Sandbox, recipient: str) -> list[str]:
    return [one.message_id for one in sandbox.post_office.arrived if one.recipient == recipient]


def test_the_envelope_decides_who_receives(sandbox: Sandbox, account: Account) -> None:
    named, meant = make_account(sandbox), make_account(sandbox)
    send(sandbox, account, meant.address, message=letter(account.address, named.address))
    assert (len(inbox(named)), len(inbox(meant))) == (0, 1)


def test_an_arrival_keeps_the_envelopes_sender(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account)
    with smtp(sandbox, account) as client:
        client.sendmail("bounces@example.test", [person], raw())
    assert [one.sender for one in sandbox.post_office.arrived if one.recipient == person] == ["bounces@example.test"]


def test_every_acceptance_is_counted_once_for_each_recipient(sandbox: Sandbox, account: Account) -> None:
    person, other = lead(sandbox, account), make_account(sandbox).address
    for _ in range(2):
        send(sandbox, account, person, other)
    assert arrived(sandbox, person) == arrived(sandbox, other) == ["<one@example.test>"] * 2
    assert len(sandbox.people[person].received) == 2


def test_dots_and_long_messages_arrive_as_they_were(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account)
    body = raw().replace(b"\n", b"\r\n") + b".a\r\n..b\r\n" + b"x" * 900_000 + b"\r\n"
    with smtp(sandbox, account) as client:
        client.sendmail(account.address, [person], body)
    assert sandbox.people[person].received == [body]


def test_the_copy_in_sent_is_there_when_the_acceptance_is_said(sandbox: Sandbox, account: Account) -> None:
    with smtp(sandbox, account) as client:
        client.send_message(letter(account.address, lead(sandbox, account)))
        with imap(sandbox, account, "Sent") as reading:
            assert reading.search(["HEADER", "Message-ID", "<one@example.test>"]) == [1]


def test_a_provider_that_keeps_no_copy_leaves_sent_empty(sandbox: Sandbox, account: Account) -> None:
    account.saves_sent = False
    send(sandbox, account, lead(sandbox, account))
    assert account.folders["Sent"] == []


def test_what_is_judged_junk_goes_to_junk(sandbox: Sandbox, account: Account) -> None:
    other = make_account(sandbox)
    other.junks = lambda message: b"cheap" in message
    for subject in ("cheap", "dear"):
        send(sandbox, account, other.address, message=letter(account.address, other.address, Subject=subject))
    assert [len(other.folders[name]) for name in ("INBOX", "Junk")] == [1, 1]


def test_hanging_up_before_the_acceptance_takes_nothing_and_happens_once(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account)
    account.hang_up = "before-accept"
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(sandbox, account, person)
    assert (arrived(sandbox, person), account.folders["Sent"]) == ([], [])
    send(sandbox, account, person)
    assert len(arrived(sandbox, person)) == 1


def test_hanging_up_after_the_acceptance_has_taken_the_message(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account)
    account.hang_up = "after-accept"
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(sandbox, account, person)
    assert (len(arrived(sandbox, person)), len(account.folders["Sent"]), account.hang_up) == (1, 1, "")


def test_a_refused_recipient_gets_nothing_and_the_others_do(sandbox: Sandbox, account: Account) -> None:
    person, other = lead(sandbox, account), make_account(sandbox).address
    account.refuses[person] = "450 4.2.0 Greylisted"
    with smtp(sandbox, account) as client:
        refused = client.send_message(letter(account.address, person), to_addrs=[person, other])
    assert refused == {person: (450, b"4.2.0 Greylisted")}
    assert (len(arrived(sandbox, person)), len(arrived(sandbox, other))) == (0, 1)


def test_after_a_refusal_the_connection_sends_on(sandbox: Sandbox, account: Account) -> None:
    person, other = lead(sandbox, account), make_account(sandbox).address
    account.refuses[person] = "550 5.1.1 No such user"
    with smtp(sandbox, account) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.send_message(letter(account.address, person))
        client.send_message(letter(account.address, other))
    assert len(arrived(sandbox, other)) == 1


@pytest.mark.parametrize(
    ("manner", "action", "status"), [("gone", "failed", "5.1.1"), ("slow", "delayed", "4.4.1"), ("", "failed", "5.1.1")]
)
def test_a_report_is_read_by_the_standard_library(
    sandbox: Sandbox, account: Account, manner: str, action: str, status: str
) -> None:
    person = lead(sandbox, account, manner) if manner else f"nobody@{account.address.partition('@')[2]}"
    long_id = f"<{'x' * 120}@example.test>"
    send(sandbox, account, person, message=letter(account.address, person, long_id))
    (report,) = inbox(account)
    words, delivery, headers = parts(report)
    assert (report.get_content_type(), report.get_param("report-type")) == ("multipart/report", "delivery-status")
    assert (report["Return-Path"], "MAILER-DAEMON@sandbox.test" in report["From"]) == ("<>", True)
    _mta, about = parts(delivery)
    assert (about["Action"], about["Status"], about["Final-Recipient"]) == (action, status, f"rfc822; {person}")
    assert about["Diagnostic-Code"] and person in str(words.get_payload())
    assert headers.get_content_type() == "text/rfc822-headers"
    assert email.message_from_string(str(headers.get_payload()))["Message-ID"] == long_id


def test_nothing_comes_back_to_the_null_sender(sandbox: Sandbox, account: Account) -> None:
    with smtp(sandbox, account) as client:
        client.sendmail("", [lead(sandbox, account, "gone")], raw())
    assert inbox(account) == []


def test_an_answer_comes_in_thread(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account, "answers")
    second = letter(account.address, person, "<two@example.test>", References="<one@example.test>", Subject="Größe?")
    send(sandbox, account, person, message=second)
    answer = email.message_from_bytes(account.folders["INBOX"][0].raw, policy=default)
    assert (answer["From"], answer["To"], answer["Subject"]) == (person, account.address, "Re: Größe?")
    assert answer["In-Reply-To"] == "<two@example.test>"
    assert answer["References"] == "<one@example.test> <two@example.test>"


def test_some_answer_only_a_later_message(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account, "answers", answers_after=2)
    send(sandbox, account, person)
    assert inbox(account) == []
    send(sandbox, account, person)
    assert len(inbox(account)) == 1


def test_who_is_away_says_so_by_a_machine(sandbox: Sandbox, account: Account) -> None:
    send(sandbox, account, lead(sandbox, account, "away"))
    (note,) = inbox(account)
    assert (note["Auto-Submitted"], note["In-Reply-To"]) == ("auto-replied", "<one@example.test>")


def test_answers_have_ids_of_their_own_at_the_persons_domain(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account, "answers")
    for _ in range(2):
        send(sandbox, account, person)
    ids = {message["Message-ID"] for message in inbox(account)}
    assert len(ids) == 2 and all(one.endswith(f"@{person.partition('@')[2]}>") for one in ids)


def test_a_person_answers_when_told_to_the_last_message_they_got(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account)
    send(sandbox, account, person)
    given = sandbox.answer(person, account.address, "Yes, please.")
    assert account.folders["INBOX"][0].raw == given
    assert email.message_from_bytes(given)["In-Reply-To"] == "<one@example.test>"


def test_a_person_writes_outside_any_thread(sandbox: Sandbox, account: Account) -> None:
    person = lead(sandbox, account)
    send(sandbox, account, person)
    given = email.message_from_bytes(sandbox.answer(person, account.address, "Hello there.", to_message=b""))
    assert (given["In-Reply-To"], given["Subject"]) == (None, "Hello")


def test_a_manner_that_nobody_has_is_refused() -> None:
    with pytest.raises(ValueError, match="manner"):
        Person("grumpy")


def test_a_cut_ends_connections_and_leaves_new_ones_alone(sandbox: Sandbox, account: Account) -> None:
    with imap(sandbox, account, "INBOX") as reading, smtp(sandbox, account) as sending:
        assert sandbox.cut(1.0, random.Random(1)) >= 2
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            sending.noop()
        with pytest.raises((OSError, reading.AbortError)):
            reading.noop()
    with imap(sandbox, account, "INBOX") as reading:
        assert reading.search() == []


def test_a_cut_of_no_share_ends_nothing(sandbox: Sandbox, account: Account) -> None:
    with imap(sandbox, account, "INBOX") as reading:
        assert sandbox.cut(0.0, random.Random(1)) == 0
        assert reading.search() == []


def test_a_cut_takes_about_the_share(sandbox: Sandbox, account: Account) -> None:
    with imap(sandbox, account), imap(sandbox, account), imap(sandbox, account), imap(sandbox, account):
        assert 0 < sandbox.cut(0.5, random.Random(3)) < 4
