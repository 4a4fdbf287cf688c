"""Replies that come before their command, and replies with two codes, are never taken for an answer (SRV-14)."""

from __future__ import annotations

import asyncio

import pytest

from mailboxes.diagnosis.categories import Category
from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Reply
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.dialogue import ProtocolFault
from mailboxes.wire.imap_reply import ImapParser
from mailboxes.wire.letters import Fate, send_letter
from mailboxes.wire.runner import check
from mailboxes.wire.smtp import SmtpParser, SmtpReply
from mailboxes.wire.values import LegTarget, Letter, Limits, Login, Report, Security, Stage, Target
from tests.make import FAST
from tests.wire.talker import HOST, Talker, reach

EHLO = b"250-x\r\n250 AUTH PLAIN\r\n"
OPEN = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n"
LOGIN = Login("me@example.test", "the-password-of-me")


def checked(sandbox: Sandbox, name: str, *said: bytes) -> tuple[Report, Talker]:
    with Talker(*said, tls=sandbox.authority.context(HOST, "")) as talker:
        connector, place = reach(sandbox, talker, FAST, Security.SSL)
        wanted = LegTarget(place, LOGIN)
        target = Target(wanted, None) if name == "smtp" else Target(None, wanted)
        [report] = asyncio.run(check(target, connector))
    return report, talker


@pytest.mark.parametrize(
    ("name", "said", "stage"),
    [
        ("smtp", (b"220 hi\r\n", EHLO + b"235 welcome\r\n"), Stage.AUTH),
        ("smtp", (b"220 hi\r\n" + EHLO + b"235 welcome\r\n",), Stage.GREETING),
        ("smtp", (b"220 hi\r\n", EHLO + b"23"), Stage.AUTH),
        ("smtp", (b"220 hi\r\n", b"250-x\r\n250 AUTH LOGIN\r\n", b"334 \r\n334 \r\n235 in\r\n"), Stage.AUTH),
        ("imap", (OPEN + b"A1 OK welcome\r\nA2 OK open\r\n",), Stage.AUTH),
        ("imap", (OPEN + b"* OK news\r\nA1 OK welcome\r\n",), Stage.AUTH),
        ("imap", (OPEN, b"A1 OK welcome\r\nA2 OK open\r\n"), Stage.SELECT),
        ("imap", (OPEN + b"+ go on\r\n",), Stage.AUTH),
    ],
)
def test_srv14_an_early_reply_is_refused_and_is_no_login(
    sandbox: Sandbox, name: str, said: tuple[bytes, ...], stage: Stage
) -> None:
    report, talker = checked(sandbox, name, *said)
    step = report.failed
    assert step is not None and (step.stage, step.code) == (stage, "EARLY_REPLY")
    assert step.text.startswith("the server answered before it was asked: ")
    if stage is not Stage.SELECT:
        assert b"AUTHENTICATE" not in talker.heard and b"AUTH PLAIN" not in talker.heard
    found = engine().diagnose(Reply(text=step.text, leg=name, stage=step.stage.value, code=step.code))
    assert found.category is Category.PROTOCOL_MISMATCH


def test_srv14_what_imap_may_say_at_any_time_is_no_early_reply(sandbox: Sandbox) -> None:
    said = (OPEN + b"* OK news\r\n* NO low on space\r\n", b"A1 OK in\r\n* 3 EXISTS\r\n", b"A2 OK open\r\n")
    report, _talker = checked(sandbox, "imap", *said)
    assert report.ok


def test_srv14_a_server_that_shuts_down_before_a_command_is_heard(sandbox: Sandbox) -> None:
    report, _talker = checked(sandbox, "smtp", b"220 hi\r\n", EHLO + b"421 4.3.2 shutting down\r\n")
    assert report.failed is not None and report.failed.code == "421 4.3.2"


def test_srv14_untagged_data_before_a_command_keeps_its_order() -> None:
    parser = ImapParser(Limits())
    parser.feed(b"* OK hi\r\n* BAD one\r\n* NO two\r\n* NO thr")
    assert parser.early() == b""
    parser.feed(b"ee\r\nA1 OK\r\n")
    said = [reply.text for reply in iter(parser.next_reply, None)]
    assert said == ["hi", "one", "two", "three", ""]


@pytest.mark.parametrize("said", [b"250-ok\r\n451 later\r\n", b"550-no\r\n250-ok\r\n550 no\r\n"])
def test_srv14_a_reply_with_two_codes_is_kept_as_it_came(said: bytes) -> None:
    parser = SmtpParser(Limits())
    parser.feed(said + b"250 next\r\n")
    with pytest.raises(ProtocolFault) as caught:
        parser.next_reply()
    assert (caught.value.code, caught.value.text) == ("MIXED_CODES", said.replace(b"\r", b"").strip())
    assert parser.next_reply() == SmtpReply(250, ("next",))


def test_srv14_mixed_codes_are_no_login(sandbox: Sandbox) -> None:
    report, _talker = checked(sandbox, "smtp", b"220 hi\r\n", EHLO, b"235-welcome\r\n454 later\r\n")
    assert report.failed is not None
    assert (report.failed.stage, report.failed.code) == (Stage.AUTH, "MIXED_CODES")
    assert report.failed.text == "235-welcome\n454 later"


def test_srv14_mixed_codes_after_the_message_leave_its_fate_unknown(sandbox: Sandbox) -> None:
    said = (b"220 hi\r\n", EHLO, b"235 in\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250-ok\r\n451 later\r\n")
    letter = Letter("me@example.test", "you@example.test", "<1@example.test>", b"A: b\n\nx\n")

    async def may_go() -> bool:
        return True

    with Talker(*said, tls=sandbox.authority.context(HOST, "")) as talker:
        connector, place = reach(sandbox, talker, FAST, Security.SSL)
        found = asyncio.run(send_letter(LegTarget(place, LOGIN), letter, connector, may_go))
    assert found.fate is Fate.UNKNOWN
    assert found.report.failed is not None and found.report.failed.code == "MIXED_CODES"


@pytest.mark.parametrize(("line", "text"), [(b"250", ""), (b"250 ", ""), (b"250ok", "ok"), (b"250 ok", "ok")])
def test_srv14_a_line_without_a_blank_loses_no_letter(line: bytes, text: str) -> None:
    parser = SmtpParser(Limits())
    parser.feed(line + b"\r\n")
    assert parser.next_reply() == SmtpReply(250, (text,))
