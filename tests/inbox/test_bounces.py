"""Which mail is a bounce, of what and to whom (SPEC K6, FACTS E10, E11)."""

from __future__ import annotations

import base64

import pytest

from mailboxes.inbox.bounces import Bounce, Outcome
from mailboxes.inbox.parsing import Kind
from tests.inbox.test_parsing import RAW, mail, of

FAILED, DELAYED = Outcome.FAILED, Outcome.DELAYED


def bounce(name: str) -> Bounce:
    found = mail(name)
    assert found.kind is Kind.BOUNCE
    assert found.bounce is not None
    return found.bounce


@pytest.mark.parametrize(
    ("name", "outcome", "recipient", "status", "original"),
    [
        ("postfix_failed", FAILED, "nobody@example.test", "5.1.1", "<step1.postfix@sender.test>"),
        ("exchange_online_failed", FAILED, "jobs@contoso.example.test", "5.1.10", "<step1.exchange@sender.test>"),
        ("gmail_failed", FAILED, "full.box@example.test", "5.2.2", "<step2.gmail@sender.test>"),
        ("postfix_delayed", DELAYED, "slow@example.test", "4.4.1", "<step1.delayed@sender.test>"),
        ("three_recipients", FAILED, "third@example.test", "5.7.1", "<step3.three@sender.test>"),
        ("qmail_failed", FAILED, "gone@example.test", "5.1.1", "<step1.qmail@sender.test>"),
        ("exim_failed", FAILED, "sales@example.test", "5.7.1", "<step1.exim@sender.test>"),
        ("exim_delayed", DELAYED, "quiet@example.test", "", ""),
        ("old_exchange_failed", FAILED, "anna.other@example.test", "", "<step1.exch55@sender.test>"),
        ("outlook_text_failed", FAILED, "b.müller@corp.example.test", "5.1.1", ""),
        ("gmail_plain_failed", FAILED, "typo@example.test", "5.1.1", ""),
        ("yahoo_failed", FAILED, "closed@example.test", "", "<step1.yahoo@sender.test>"),
    ],
)
def test_k6_a_bounce_tells_its_recipient_status_and_message(
    name: str, outcome: Outcome, recipient: str, status: str, original: str
) -> None:
    found = bounce(name)
    assert (found.outcome, found.recipient, found.status, found.original_message_id) == (
        outcome, recipient, status, original,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "diagnostic"),
    [
        (
            "postfix_failed",
            "550 5.1.1 <Nobody@example.test>: Recipient address rejected: User unknown in virtual mailbox",
        ),
        (
            "exchange_online_failed",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient jobs@contoso.example.test not",
        ),
        ("postfix_delayed", "connect to mail.example.test[192.0.2.25]:25: Connection timed out"),
        ("qmail_failed", "192.0.2.25 does not like recipient. Remote host said: 550 5.1.1 sorry, no mailbox here"),
        ("exim_failed", "SMTP error from remote mail server after RCPT TO:<sales@example.test>: host mx.example.test"),
        ("exim_delayed", "Delay reason: Connection refused"),
        ("outlook_text_failed", "on 10/06/2024 10:00 550 5.1.1 User unknown"),
        ("yahoo_failed", "Remote host said: 554 delivery error: dd This user doesn't have"),
    ],
)
def test_k6_a_bounce_keeps_the_servers_words(name: str, diagnostic: str) -> None:
    assert bounce(name).diagnostic.startswith(diagnostic)


def test_k6_a_delayed_report_is_no_failure() -> None:
    for name in ("postfix_delayed", "exim_delayed"):
        assert not bounce(name).is_permanent
        assert not bounce(name).is_of_the_address


def test_k6_an_unknown_address_is_suppressed_and_a_full_mailbox_is_not() -> None:
    assert bounce("postfix_failed").is_of_the_address
    full = bounce("gmail_failed")
    assert (full.is_permanent, full.is_of_the_address) == (True, False)


def test_k6_a_failure_for_a_passing_reason_is_not_permanent() -> None:
    assert Bounce(FAILED, "a@example.test", "", "", "").is_permanent
    assert not Bounce(FAILED, "a@example.test", "4.4.7", "", "").is_permanent


@pytest.mark.parametrize("name", ["success_report", "read_receipt"])
def test_k6_a_report_of_something_else_is_no_bounce(name: str) -> None:
    assert (mail(name).bounce, mail(name).kind) == (None, Kind.AUTO_REPLY)


@pytest.mark.parametrize("name", ["reply_quoting_a_bounce", "html_only", "cut_base64"])
def test_k6_a_persons_mail_is_no_bounce(name: str) -> None:
    assert (mail(name).bounce, mail(name).kind) == (None, Kind.MESSAGE)


def test_k6_a_persons_answer_with_the_report_attached_is_no_bounce() -> None:
    report = RAW["postfix_failed"].decode().partition("--4XkQ2v1Xz9z0.1717485151/mx.sender.test\n")[2]
    head = 'Content-Type: multipart/mixed; boundary="4XkQ2v1Xz9z0.1717485151/mx.sender.test"\nFrom: lea@example.test'
    body = f"--4XkQ2v1Xz9z0.1717485151/mx.sender.test\n{report}"
    assert of(f"{head}\nIn-Reply-To: <a@sender.test>", body).kind is Kind.MESSAGE
    wrongly_named = of(head, body).bounce
    assert wrongly_named is not None
    assert wrongly_named.original_message_id == "<step1.postfix@sender.test>"


def test_k6_an_automatic_reply_that_speaks_of_delivery_is_no_bounce() -> None:
    head = "Return-Path: <>\nFrom: lea@example.test\nSubject: Out of office\nIn-Reply-To: <a@sender.test>"
    assert of(head, "Your message could not be delivered to my desk.").kind is Kind.AUTO_REPLY
    head = "Return-Path: <>\nFrom: lea@example.test\nSubject: Hi\nAuto-Submitted: auto-replied"
    assert of(head, "Your message could not be delivered to my desk.").kind is Kind.AUTO_REPLY


def test_k6_the_returned_message_does_not_change_the_outcome() -> None:
    """The message that qmail sends back has "delayed" in its subject."""
    assert bounce("qmail_failed").outcome is FAILED


@pytest.mark.parametrize(
    "encoded",
    [
        "Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n{base64}",
        "Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n\n{plain}",
        "Content-Type: message/delivery-status\n\n{joined}",
    ],
)
def test_k6_a_report_is_read_however_it_is_packed(encoded: str) -> None:
    plain = (
        "Reporting-MTA: dns; x.test\n\nFinal-Recipient: rfc822; lost@example.test\nAction: Failed\nStatus: 5.1.2 (no)\n"
    )
    part = encoded.format(
        base64=base64.encodebytes(plain.encode()).decode(), plain=plain, joined=plain.replace("\n\n", "\n")
    )
    found = of("Content-Type: multipart/report; boundary=b", f"--b\n\nSorry\n--b\n{part}\n--b--").bounce
    assert found == Bounce(FAILED, "lost@example.test", "5.1.2", "", "")


def test_k6_a_report_cut_before_its_fields_is_read_by_its_words() -> None:
    raw = RAW["postfix_failed"].partition(b"Content-Description: Delivery report")[0].decode()
    head, _, body = raw.partition("\n\n")
    found = of(head, body).bounce
    assert found is not None
    assert (found.outcome, found.recipient, found.status) == (FAILED, "nobody@example.test", "5.1.1")


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("Your message could not be delivered yet. We will keep trying.", DELAYED),
        ("Warning: message 1sFd-00 delayed 24 hours", DELAYED),
        ("Delivery to the following recipient failed permanently: x@example.test", FAILED),
        ("Ihre Nachricht konnte nicht zugestellt werden.", FAILED),
        ("Votre message n’a pas pu être remis.", FAILED),
        ("Welcome to our newsletter", None),
    ],
)
def test_k6_a_servers_words_tell_the_outcome(words: str, outcome: Outcome | None) -> None:
    found = of("From: MAILER-DAEMON@example.test", words).bounce
    assert (found.outcome if found else None) is outcome
    assert of("From: lea@example.test", words).kind is Kind.MESSAGE


# ---- a block that cannot be read


WORDS = "<kim@lead.test>: host mx.lead.test said: 550 5.1.1 user unknown"
UNREADABLE = {
    "only the server": "Reporting-MTA: dns; mx.ours.test",
    "no report": "report unavailable",
    "empty": "",
    "an unknown action": "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; kim@lead.test\nAction: maybe",
    "garbage": "\x01\x02\x03 = ?",
}


def reported(block: str, words: str, head: str = "") -> Bounce | None:
    """A report with this block beside these words."""
    top = "From: MAILER-DAEMON@x.test\nSubject: Report\nMIME-Version: 1.0\n" + head
    parts = (
        f"--b\nContent-Type: text/plain\n\n{words}\n\n--b\nContent-Type: message/delivery-status\n\n{block}\n\n--b--"
    )
    return of(f"{top}Content-Type: multipart/report; report-type=delivery-status; boundary=b", parts).bounce


@pytest.mark.parametrize("block", UNREADABLE.values(), ids=list(UNREADABLE))
def test_mail4_a_block_that_says_nothing_does_not_silence_the_words_beside_it(block: str) -> None:
    found = reported(block, f"I am sorry.\n\n{WORDS}")
    assert found is not None
    assert (found.outcome, found.recipient, found.status) == (FAILED, "kim@lead.test", "5.1.1")
    assert "user unknown" in found.diagnostic


@pytest.mark.parametrize("name", ["gateway_base64_block", "action_expired"])
def test_mail4_real_reports_with_an_unreadable_block_are_bounces(name: str) -> None:
    found = bounce(name)
    assert (found.outcome, found.recipient) == (FAILED, "kim@lead.example")
    assert found.original_message_id == "<out-1@ours.example>"
    assert found.is_of_the_address is (name == "gateway_base64_block")


@pytest.mark.parametrize(
    ("action", "status", "outcome"),
    [
        ("expired", "", FAILED), ("error", "5.0.0", FAILED), ("Failed (bounced)", "5.1.1", FAILED),
        ("deferred", "4.0.0", DELAYED), ("", "5.1.1", FAILED), ("", "4.4.1", DELAYED), ("unknown", "5.2.2", FAILED),
        ("delayed", "4.4.1", DELAYED), ("relayed", "2.0.0", None), ("delivered", "2.0.0", None), ("expanded", "", None),
    ],
)  # fmt: skip
def test_mail4_an_action_is_known_as_servers_write_it(action: str, status: str, outcome: Outcome | None) -> None:
    found = reported(f"Final-Recipient: rfc822; kim@lead.test\nAction: {action}\nStatus: {status}", "A report.")
    assert (found.outcome if found else None) is outcome


def test_mail4_what_the_fields_say_holds_against_the_words() -> None:
    block = "Final-Recipient: rfc822; kim@lead.test\nAction: {}\nStatus: {}"
    assert reported(block.format("delivered", "2.0.0"), "Other mail could not be delivered: 550 5.1.1") is None
    delayed = reported(block.format("delayed", "4.4.1"), "It could not be delivered. 550 5.1.1 user unknown")
    assert delayed is not None and (delayed.outcome, delayed.status) == (DELAYED, "4.4.1")


def test_mail4_words_tell_what_the_fields_leave_out() -> None:
    """As Exim and OpenSMTPD report: 5.0.0, and no text."""
    block = "Final-Recipient: rfc822; kim@lead.test\nAction: failed\nStatus: 5.0.0"
    found = reported(block, f"It failed.\n\n{WORDS}")
    assert found is not None and (found.status, "user unknown" in found.diagnostic) == ("5.1.1", True)
    other = reported(block, "It failed.\n\n<ann@lead.test>: 550 5.1.1 user unknown")
    assert other is not None and (other.recipient, other.status) == ("kim@lead.test", "5.0.0")


def test_mail4_a_report_of_which_nothing_but_a_code_is_known_is_a_bounce() -> None:
    found = reported("", "\u914d\u4fe1: kim@lead.test 550 5.7.1")
    assert found is not None and (found.outcome, found.recipient, found.status) == (FAILED, "kim@lead.test", "5.7.1")
    assert reported("", "Dear colleague, see you at 5.") is None
