"""Plain text where TLS is expected, and TLS where plain text is: said clearly, and blamed on the right one (SRV-6)."""

from __future__ import annotations

import asyncio

import pytest

from mailboxes.diagnosis.categories import Actor, Category
from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.runner import check
from mailboxes.wire.values import LegTarget, Limits, Login, Report, Security, Stage, Step, Target
from tests.make import FAST
from tests.wire.talker import HOST, Talker, reach

QUICK = Limits(dns_s=3.0, connect_s=10.0, command_s=1.0, total_s=12.0)
BUSY = b"421 Too many concurrent SMTP connections from this IP address; please try again later.\r\n"


def checked(
    sandbox: Sandbox, talker: Talker, name: str, security: Security, limits: Limits = FAST
) -> tuple[Step, Diagnosis, Report]:
    """The failed step of a check, its diagnosis and the report."""
    connector, place = reach(sandbox, talker, limits, security)
    wanted = LegTarget(place, Login("me@example.test", "the-password-of-me"))
    target = Target(wanted, None) if name == "smtp" else Target(None, wanted)
    [report] = asyncio.run(check(target, connector))
    step = report.failed
    assert step is not None
    reply = Reply(text=step.text, leg=report.leg.value, stage=step.stage.value, code=step.code)
    return step, engine().diagnose(reply), report


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("smtp", b"220 mail.example.test ESMTP Exim 4.97\r\n"),
        ("imap", b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] Dovecot ready.\r\n"),
    ],
)
def test_srv6_a_plain_text_port_is_called_one(sandbox: Sandbox, name: str, greeting: bytes, closes: bool) -> None:
    with Talker(greeting, closes=closes) as talker:
        step, found, _report = checked(sandbox, talker, name, Security.SSL)
    assert (step.stage, step.code) == (Stage.TLS, "PLAINTEXT_ON_TLS_PORT")
    assert "speaks plain text" in step.text and "STARTTLS" in step.text
    assert greeting.decode().strip() in step.text
    assert found.category is Category.TLS_MISMATCH


@pytest.mark.parametrize("pause_s", [0, 0.3])
def test_srv6_exims_limit_in_plain_text_on_a_tls_port_is_that_limit(sandbox: Sandbox, pause_s: float) -> None:
    with Talker(flood=BUSY, pause_s=pause_s) as talker:
        step, found, report = checked(sandbox, talker, "smtp", Security.SSL)
    assert (step.stage, step.code) == (Stage.GREETING, "421")
    assert Stage.TLS not in {one.stage for one in report.steps if one.ok}
    assert found.category in (Category.RATE_LIMITED, Category.TEMPORARY)
    assert found.actor is Actor.NOBODY


def test_srv6_imaps_farewell_in_plain_text_on_a_tls_port_is_its_own_words(sandbox: Sandbox) -> None:
    with Talker(b"* BYE Too many connections, please try again later\r\n", closes=True) as talker:
        step, found, _report = checked(sandbox, talker, "imap", Security.SSL)
    assert (step.stage, step.code) == (Stage.GREETING, "BYE")
    assert found.actor is Actor.NOBODY


@pytest.mark.parametrize("name", ["smtp", "imap"])
def test_srv14_starttls_against_a_port_for_tls_is_called_that(sandbox: Sandbox, name: str) -> None:
    with Talker(b"220 hi\r\n", tls=sandbox.authority.context(HOST, "")) as talker:
        step, found, _report = checked(sandbox, talker, name, Security.STARTTLS, QUICK)
    assert (step.stage, step.code) == (Stage.GREETING, "TLS_AT_ONCE")
    assert "SSL/TLS" in step.text
    assert found.category is Category.TLS_MISMATCH
    assert b"the-password" not in talker.heard


def test_srv14_a_port_for_tls_is_known_whatever_its_certificate(sandbox: Sandbox) -> None:
    with Talker(tls=sandbox.authority.context(HOST, "expired")) as talker:
        step, _found, _report = checked(sandbox, talker, "smtp", Security.STARTTLS, QUICK)
    assert step.code == "TLS_AT_ONCE"


def test_srv14_a_server_that_only_says_nothing_is_a_timeout(sandbox: Sandbox) -> None:
    with Talker() as talker:
        limits = Limits(dns_s=3.0, connect_s=1.0, command_s=1.0, total_s=8.0)
        step, found, _report = checked(sandbox, talker, "imap", Security.STARTTLS, limits)
    assert (step.stage, step.code) == (Stage.GREETING, "ETIMEDOUT")
    assert found.category is Category.TIMEOUT


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smtp", (b"220 hi\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n")),
        ("imap", (b"* OK hi\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\nA1 OK\r\n", b"A2 OK go\r\n")),
    ],
)
def test_srv14_a_connection_closed_after_starttls_is_the_servers_fault(
    sandbox: Sandbox, name: str, said: tuple[bytes, ...]
) -> None:
    with Talker(*said, closes=True) as talker:
        step, found, _report = checked(sandbox, talker, name, Security.STARTTLS)
    assert (step.stage, step.code) == (Stage.TLS, "STARTTLS_CLOSED")
    assert "agreed to STARTTLS and closed the connection" in step.text
    assert (found.category, found.actor, found.transient) == (Category.TEMPORARY, Actor.NOBODY, True)


def test_srv6_binary_noise_is_not_shown_as_words(sandbox: Sandbox) -> None:
    with Talker(b"\x00\x01\x02\x03" * 20, closes=True) as talker:
        step, _found, _report = checked(sandbox, talker, "smtp", Security.SSL)
    assert "The server said" not in step.text
