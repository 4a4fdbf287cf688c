"""SMTP and IMAP dialogues by values alone: what is said, and what a reply makes of it (RFC 5321, 4954, 3501)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import pytest
from imapclient.imap_utf7 import encode as imapclient_encode

from mailboxes.wire import imap, smtp
from mailboxes.wire.dialogue import Pause, ProtocolFault, Send, Upgrade
from mailboxes.wire.imap_reply import ImapParser
from mailboxes.wire.smtp import SmtpParser, dot_stuffed, parse_extensions
from mailboxes.wire.utf7 import encode_folder
from mailboxes.wire.values import Letter, Limits, Login, SecretKind, Security, Stage, WireFault

LIMITS = Limits(line_bytes=1000, reply_bytes=5000, literal_bytes=2000)
ME = Login("me@example.com", "pässword")
TOKEN = Login("me@example.com", "token-token", SecretKind.ACCESS_TOKEN)
REFUSAL_334 = base64.b64encode(b'{"status":"401","schemes":"Bearer","scope":"mail"}').decode()


def play(dialogue: Any, parser: Any, replies: Iterable[str]) -> list[str]:
    """Answer each step of a dialogue from the list; what was sent."""
    sent: list[str] = []
    answers = iter(replies)
    action = next(dialogue, None)
    while action is not None:
        try:
            if isinstance(action, Upgrade | Pause):
                sent.append(type(action).__name__)
                action = next(dialogue)
                continue
            if isinstance(action, Send):
                sent.append(action.data.decode().strip())
            while (reply := parser.next_reply()) is None:
                parser.feed(next(answers).replace("\n", "\r\n").encode() + b"\r\n")
            action = dialogue.send(reply)
        except StopIteration:
            break
    return sent


def smtp_play(
    replies: list[str], login: Login = ME, security: Security = Security.SSL, message: Any = None
) -> list[str]:
    return play(smtp.check(login, security, "me.example", message), SmtpParser(LIMITS), replies)


def imap_play(replies: list[str], login: Login = ME, security: Security = Security.SSL) -> list[str]:
    return play(imap.check(login, security, "INBOX"), ImapParser(LIMITS), replies)


def fault_of(work: Any) -> WireFault:
    with pytest.raises(WireFault) as caught:
        work()
    return caught.value


def test_smtp_logs_in_by_plain_in_utf8_with_one_attempt() -> None:
    sent = smtp_play(["220 hi", "250-x\n250 AUTH LOGIN PLAIN", "235 ok"])
    assert sent[0] == "EHLO me.example"
    assert base64.b64decode(sent[1].removeprefix("AUTH PLAIN ")).decode() == "\0me@example.com\0pässword"
    assert len(sent) == 2


def test_smtp_logs_in_by_login_where_plain_is_not_offered() -> None:
    sent = smtp_play(["220 hi", "250-x\n250 AUTH=LOGIN", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok"])
    assert sent[1:] == ["AUTH LOGIN", base64.b64encode(b"me@example.com").decode(),
                        base64.b64encode("pässword".encode()).decode()]  # fmt: skip


def test_smtp_tries_no_second_mechanism_after_a_refusal() -> None:
    fault = fault_of(lambda: smtp_play(["220 hi", "250-x\n250 AUTH PLAIN LOGIN", "535 5.7.8 no"]))
    assert (fault.stage, fault.code) == (Stage.AUTH, "535 5.7.8")


def test_smtp_answers_the_xoauth2_challenge_and_keeps_its_reason() -> None:
    replies = ["220 hi", "250-x\n250 AUTH XOAUTH2 PLAIN", f"334 {REFUSAL_334}", "535 5.7.8 no"]
    fault = fault_of(lambda: smtp_play(replies, TOKEN))
    assert fault.code == "535 5.7.8"
    assert "status=401; schemes=Bearer; scope=mail" in fault.text


def test_smtp_never_sends_a_password_where_no_login_fits() -> None:
    fault = fault_of(lambda: smtp_play(["220 hi", "250-x\n250 AUTH CRAM-MD5"]))
    assert (fault.code, "CRAM-MD5" in fault.text) == ("AUTH_NOT_OFFERED", True)


def test_s2_smtp_refuses_to_go_on_without_the_upgrade() -> None:
    fault = fault_of(lambda: smtp_play(["220 hi", "250-x\n250 AUTH PLAIN"], security=Security.STARTTLS))
    assert (fault.stage, fault.code) == (Stage.TLS, "STARTTLS_NOT_OFFERED")


def test_s2_smtp_forgets_what_was_offered_before_the_upgrade() -> None:
    replies = ["220 hi", "250-x\n250-AUTH PLAIN\n250 STARTTLS", "220 go", "250 x"]
    fault = fault_of(lambda: smtp_play(replies, security=Security.STARTTLS))
    assert fault.code == "AUTH_NOT_OFFERED"


def test_503_at_auth_is_no_success() -> None:
    assert fault_of(lambda: smtp_play(["220 hi", "250-x\n250 AUTH PLAIN", "503 already"])).code == "503"


def test_smtp_sends_one_message_with_dots_doubled() -> None:
    message = Letter("me@example.com", "me@example.com", "<1@example.com>", b"A: b\n\n.dot\n")
    replies = ["220 hi", "250-x\n250 AUTH PLAIN", "235 ok", "250 ok", "250 ok", "354 go", "250 queued"]
    sent = smtp_play(replies, message=message)
    assert sent[2:5] == ["MAIL FROM:<me@example.com>", "RCPT TO:<me@example.com>", "DATA"]
    assert dot_stuffed(message.body) == b"A: b\r\n\r\n..dot\r\n.\r\n"


def test_imap_logs_in_by_authenticate_with_an_initial_response() -> None:
    sent = imap_play(["* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi", "A1 OK in", "A2 OK open"])
    assert base64.b64decode(sent[0].split()[-1]).decode() == "\0me@example.com\0pässword"
    assert sent[1] == 'A2 SELECT "INBOX"'


def test_imap_waits_for_the_continuation_without_sasl_ir() -> None:
    sent = imap_play(["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi", "+ ", "A1 OK in", "A2 OK open"])
    assert sent[0] == "A1 AUTHENTICATE PLAIN"


def test_imap_uses_the_login_command_only_where_no_auth_is_offered() -> None:
    sent = imap_play(["* OK [CAPABILITY IMAP4rev1] hi", "A1 OK in", "A2 OK open"], Login('me"x', "p\\w"))
    assert sent[0] == 'A1 LOGIN "me\\"x" "p\\\\w"'


def test_imap_sends_no_password_where_login_is_disabled() -> None:
    assert fault_of(lambda: imap_play(["* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi"])).code == "LOGINDISABLED"


def test_imap_answers_the_xoauth2_challenge_with_an_empty_line() -> None:
    replies = ["* OK [CAPABILITY SASL-IR AUTH=XOAUTH2] hi", f"+ {REFUSAL_334}", "A1 NO [AUTHENTICATIONFAILED] no"]
    fault = fault_of(lambda: imap_play(replies, TOKEN))
    assert fault.code == "NO AUTHENTICATIONFAILED"
    assert "status=401" in fault.text


def test_s2_imap_refuses_preauth() -> None:
    assert fault_of(lambda: imap_play(["* PREAUTH hi"])).code == "PREAUTH"


def test_s2_imap_forgets_capabilities_at_the_upgrade() -> None:
    replies = [
        "* OK hi",
        "* CAPABILITY STARTTLS AUTH=PLAIN",
        "A1 OK",
        "A2 OK go",
        "* CAPABILITY LOGINDISABLED",
        "A3 OK",
    ]
    fault = fault_of(lambda: imap_play(replies, security=Security.STARTTLS))
    assert fault.code == "LOGINDISABLED"


def test_imap_tells_its_id_before_select_where_the_server_knows_it() -> None:
    sent = imap_play(["* OK [CAPABILITY ID SASL-IR AUTH=PLAIN] hi", "A1 OK", "A2 OK", "A3 OK"])
    assert sent[1] == 'A2 ID ("name" "postmend")\r\nA3 SELECT "INBOX"'


def test_imap_keeps_the_words_of_an_untagged_no() -> None:
    replies = [
        "* OK [CAPABILITY SASL-IR AUTH=PLAIN] hi",
        "* NO [WEBALERT https://x.example] Web login required.",
        "A1 NO failed",
    ]
    assert "Web login required" in fault_of(lambda: imap_play(replies)).text


def test_imap_takes_a_bye_in_the_login_as_its_end() -> None:
    replies = ["* OK [CAPABILITY SASL-IR AUTH=PLAIN] hi", "* BYE too busy"]
    assert fault_of(lambda: imap_play(replies)).code == "BYE"


@pytest.mark.parametrize("greeting", ["+OK POP3 ready", "220 mail ESMTP", "HTTP/1.1 400 Bad Request", "SSH-2.0-x"])
def test_another_protocol_on_the_imap_port_is_no_imap(greeting: str) -> None:
    with pytest.raises((WireFault, ProtocolFault)) as caught:
        imap_play([greeting])
    assert getattr(caught.value, "code", "") == "NOT_IMAP"


@pytest.mark.parametrize("greeting", ["+OK POP3 ready", "* OK IMAP4 ready", "HTTP/1.1 400 Bad Request"])
def test_another_protocol_on_the_smtp_port_is_no_smtp(greeting: str) -> None:
    with pytest.raises(ProtocolFault) as caught:
        smtp_play([greeting])
    assert caught.value.code == "NOT_SMTP"


def test_s2_an_endless_line_is_refused() -> None:
    for parser in (SmtpParser(LIMITS), ImapParser(LIMITS)):
        parser.feed(b"2" * 2000)
        with pytest.raises(ProtocolFault, match="LINE_TOO_LONG"):
            parser.next_reply()


def test_s2_endless_lines_are_refused() -> None:
    parser = SmtpParser(LIMITS)
    parser.feed(b"250-x\r\n" * 2000)
    with pytest.raises(ProtocolFault, match="REPLY_TOO_LONG"):
        parser.next_reply()
    with pytest.raises(ProtocolFault, match="REPLY_TOO_LONG"):
        ImapParser(LIMITS).feed(b"* 1 EXISTS\r\n" * 2000)


def test_s2_a_huge_literal_is_refused_when_it_is_announced() -> None:
    parser = ImapParser(LIMITS)
    parser.feed(b"* 1 FETCH (BODY[] {99999999}\r\n")
    with pytest.raises(ProtocolFault, match="LITERAL_TOO_LONG"):
        parser.next_reply()


def test_a_literal_is_read_over() -> None:
    parser = ImapParser(LIMITS)
    parser.feed(b"* 1 FETCH (BODY[] {5}\r\nab\r\nc FLAGS ())\r\nA1 OK done\r\n")
    first, second = parser.next_reply(), parser.next_reply()
    assert first is not None and second is not None
    assert (first.tag, second.tag) == ("*", "A1")


@pytest.mark.parametrize("name", ["INBOX", "Entwürfe", "A & B", "日本語", "Ümlaut/Sub & ✓", "&"])
def test_a_folder_name_is_encoded_as_imapclient_does(name: str) -> None:
    assert encode_folder(name) == imapclient_encode(name).decode()


def test_extensions_take_the_old_auth_spelling() -> None:
    assert parse_extensions(("SIZE 100", "AUTH=PLAIN LOGIN", "auth xoauth2"))["AUTH"] == {"PLAIN", "LOGIN", "XOAUTH2"}
