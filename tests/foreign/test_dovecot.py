"""Our checks against Dovecot: what it accepts, and every fault that it can show (SPEC D1)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import imapclient
import pytest

from mailboxes.diagnosis.categories import Category
from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Reply
from mailboxes.wire.dialogue import Dialogue, Parser, converse
from mailboxes.wire.imap import ImapSession, await_message
from mailboxes.wire.imap_reply import ImapParser, ImapReply
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.smtp import SmtpParser, SmtpReply, SmtpSession
from mailboxes.wire.values import Endpoint, Leg, LegTarget, Login, SecretKind, Security, Stage, Step, Target, WireFault
from tests.foreign.conftest import Foreign, both, category, run, to_itself
from tests.foreign.dovecot import Dovecot
from tests.foreign.processes import LISTEN
from tests.make import FAST, secret

pytestmark = pytest.mark.xdist_group("foreign")
SECURITIES = list(Security)


def failed(foreign: Foreign, target: Target) -> dict[str, Step]:
    """The failed step of each leg that has one."""
    return {leg: report.failed for leg, report in run(foreign, target).items() if report.failed}


def causes(foreign: Foreign, target: Target) -> dict[str, Category | None]:
    return {leg: category(report) for leg, report in run(foreign, target).items()}


def client(foreign: Foreign, login: Login) -> imapclient.IMAPClient:
    """An IMAP client that we did not write, logged in."""
    context = foreign.dovecot.authority.trusting()
    context.check_hostname = False
    made = imapclient.IMAPClient(LISTEN, port=foreign.dovecot.imaps, ssl_context=context)
    made.login(login.username, login.secret)
    return made


@pytest.mark.parametrize("security", SECURITIES)
def test_a_password_passes_both_legs(foreign: Foreign, security: Security) -> None:
    target = both(foreign.place("smtp", security), foreign.place("imap", security), foreign.login())
    assert failed(foreign, target) == {}


def test_the_login_mechanism_passes_where_it_is_all_that_is_offered(foreign: Foreign, folder: Path) -> None:
    (folder / "login").mkdir()
    with Dovecot(folder / "login", foreign.dovecot.authority, mechanisms="login") as other:
        theirs = replace(foreign, dovecot=other)
        assert failed(theirs, both(theirs.place("smtp"), theirs.place("imap"), theirs.login())) == {}


@pytest.mark.parametrize("password", ['quo"te\\back', "pässwörd-日本", " lead and trail ", "per%cent{brace}"])
def test_a_password_of_any_characters_passes(foreign: Foreign, password: str) -> None:
    login = foreign.login()
    odd = replace(login, secret=password)
    foreign.dovecot.add(odd.username, odd.secret)
    assert failed(foreign, both(foreign.place("smtp"), foreign.place("imap"), odd)) == {}


@pytest.mark.parametrize("security", SECURITIES)
def test_a_living_token_passes_by_xoauth2_and_introspection(foreign: Foreign, security: Security) -> None:
    login = foreign.login()
    token = Login(login.username, secret(), SecretKind.ACCESS_TOKEN)
    foreign.introspection.tokens[token.secret] = token.username
    asked = foreign.introspection.asked
    target = both(foreign.place("smtp", security), foreign.place("imap", security), token)
    assert failed(foreign, target) == {}
    assert foreign.introspection.asked == asked + 2


def test_a_dead_token_is_refused_with_its_reason(foreign: Foreign) -> None:
    token = replace(foreign.login(), secret=secret(), kind=SecretKind.ACCESS_TOKEN)
    reports = run(foreign, both(foreign.place("smtp"), foreign.place("imap"), token))
    for report in reports.values():
        assert report.failed is not None and report.failed.stage is Stage.AUTH
        assert "status=401" in report.failed.text
        assert category(report) is Category.AUTH_FAILED


@pytest.mark.parametrize("wrong", ["password", "user"])
def test_h4_a_wrong_login_is_refused_alike_for_password_and_user(foreign: Foreign, wrong: str) -> None:
    login = foreign.login()
    bad = replace(login, secret=secret()) if wrong == "password" else replace(login, username="nobody@foreign.test")
    target = both(foreign.place("smtp"), foreign.place("imap"), bad)
    assert causes(foreign, target) == {"smtp": Category.AUTH_FAILED, "imap": Category.AUTH_FAILED}


def test_a_missing_folder_is_a_settings_fault(foreign: Foreign) -> None:
    target = Target(None, LegTarget(foreign.place("imap"), foreign.login()), folder="Nowhere")
    report = run(foreign, target)["imap"]
    assert report.failed is not None and report.failed.stage is Stage.SELECT
    assert category(report) is Category.FOLDER_MISSING


def test_a_folder_that_another_client_made_is_opened_by_its_name(foreign: Foreign) -> None:
    login, name = foreign.login(), "Entwürfe & Ablage"
    with client(foreign, login) as other:
        other.create_folder(name)
    target = Target(None, LegTarget(foreign.place("imap"), login), folder=name)
    assert failed(foreign, target) == {}


@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("name", ["expired", "elsewhere", "foreign"])
def test_s2_a_bad_certificate_ends_both_legs_before_the_login(foreign: Foreign, name: str, security: Security) -> None:
    target = both(foreign.place("smtp", security, name), foreign.place("imap", security, name), foreign.login())
    for report in run(foreign, target).values():
        assert report.failed is not None and report.failed.stage is Stage.TLS
        assert category(report) is Category.TLS_CERTIFICATE


def test_s2_a_server_without_tls_gets_no_login(foreign: Foreign, folder: Path) -> None:
    (folder / "clear").mkdir()
    with Dovecot(folder / "clear", foreign.dovecot.authority, ssl="no") as other:
        theirs = replace(foreign, dovecot=other)
        login = theirs.login()
        upgrade = both(theirs.place("smtp", Security.STARTTLS), theirs.place("imap", Security.STARTTLS), login)
        for report in run(theirs, upgrade).values():
            assert report.failed is not None and report.failed.code == "STARTTLS_NOT_OFFERED"
            assert category(report) is Category.TLS_MISMATCH
        implicit = both(theirs.place("smtp"), theirs.place("imap"), login)
        assert causes(theirs, implicit) == {"smtp": Category.TLS_MISMATCH, "imap": Category.TLS_MISMATCH}


@pytest.mark.parametrize(
    ("leg", "lines"),
    [("imap", [b"a LOGIN someone secret\r\n"]), ("smtp", [b"EHLO [127.0.0.1]\r\n", b"AUTH PLAIN AGEAYg==\r\n"])],
)
def test_words_that_refuse_a_clear_text_login_are_read(foreign: Foreign, leg: str, lines: list[bytes]) -> None:
    """We never send one; a customer may paste such a reply."""
    port = foreign.dovecot.imap if leg == "imap" else foreign.dovecot.submission
    with socket.create_connection((LISTEN, port), timeout=5) as raw:
        raw.recv(4096)
        for line in lines:
            raw.sendall(line)
            said = raw.recv(4096).decode()
    assert engine().diagnose(Reply(said, leg, "auth")).category is Category.TLS_MISMATCH


def test_the_other_protocol_on_a_port_is_named(foreign: Foreign) -> None:
    smtp, imap = foreign.place("smtp"), foreign.place("imap")
    crossed = both(replace(smtp, port=imap.port), replace(imap, port=smtp.port), foreign.login())
    assert causes(foreign, crossed) == {"smtp": Category.PROTOCOL_MISMATCH, "imap": Category.PROTOCOL_MISMATCH}


@pytest.mark.parametrize("leg", ["smtp", "imap"])
def test_starttls_on_the_implicit_port_is_a_settings_fault(foreign: Foreign, leg: str) -> None:
    place = replace(foreign.place(leg), security=Security.STARTTLS)
    wanted = LegTarget(place, foreign.login())
    target = Target(wanted, None) if leg == "smtp" else Target(None, wanted)
    report = run(foreign, target)[leg]
    assert report.failed is not None and report.failed.code == "TLS_AT_ONCE"


def test_too_many_connections_pass_by_themselves(foreign: Foreign) -> None:
    login = foreign.login()
    target = Target(None, LegTarget(foreign.place("imap"), login))
    with ExitStack() as held:
        for _one in range(foreign.dovecot.user_connections):
            held.enter_context(client(foreign, login))
        assert causes(foreign, target) == {"imap": Category.RATE_LIMITED}
    assert failed(foreign, target) == {}


def test_c5_a_message_that_comes_after_the_folder_was_opened_is_found(foreign: Foreign) -> None:
    login = foreign.login()
    message = to_itself(login.username)
    session = ImapSession(Security.SSL)

    def talk() -> Dialogue[ImapReply]:
        yield from session.open()
        yield from session.authenticate(login)
        yield from session.select("INBOX")
        foreign.dovecot.deliver(login.username, message.body)
        yield from await_message(session, message.message_id)

    assert asyncio.run(talk_with(foreign, Leg.IMAP, foreign.place("imap"), talk())) is None


@pytest.fixture
def other(foreign: Foreign, folder: Path) -> Iterator[Foreign]:
    """A Dovecot that may be stopped without hurting other tests."""
    place = folder / secret()
    place.mkdir()
    with Dovecot(place, foreign.dovecot.authority) as dovecot:
        yield replace(foreign, dovecot=dovecot)


def test_a_server_that_stops_before_the_login_is_a_passing_fault_and_heals(other: Foreign) -> None:
    login, smtp, imap = other.login(), other.place("smtp"), other.place("imap")
    sending, reading = SmtpSession(Security.SSL, "[127.0.0.1]"), ImapSession(Security.SSL)

    def imap_talk() -> Dialogue[ImapReply]:
        yield from reading.open()
        other.dovecot.stop()
        yield from reading.authenticate(login)

    def smtp_talk() -> Dialogue[SmtpReply]:
        yield from sending.open()
        fault = await_in_thread(talk_with(other, Leg.IMAP, imap, imap_talk()))
        faults.append(fault)
        yield from sending.authenticate(login)

    faults: list[WireFault | None] = []
    faults.append(asyncio.run(talk_with(other, Leg.SMTP, smtp, smtp_talk())))
    for leg, fault in zip(("imap", "smtp"), faults, strict=True):
        assert fault is not None and fault.stage is Stage.AUTH
        read = engine().diagnose(Reply(fault.text, leg, fault.stage.value, "", fault.code))
        assert read.transient and not read.needs_reconnect
    refused = {"smtp": Category.CONNECTION_REFUSED, "imap": Category.CONNECTION_REFUSED}
    assert causes(other, both(smtp, imap, login)) == refused
    other.dovecot.start()
    assert failed(other, both(smtp, imap, login)) == {}


def await_in_thread(work: Coroutine[Any, Any, WireFault | None]) -> WireFault | None:
    """Run it to its end from inside another loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def talk_with(foreign: Foreign, leg: Leg, place: Endpoint, talk: Dialogue[Any]) -> WireFault | None:
    """Hold this dialogue with the server; the fault that ends it, or None."""
    connector, recorder = foreign.connector(foreign.dovecot.ports), Recorder(leg)
    parser: Parser[Any] = SmtpParser(FAST) if leg is Leg.SMTP else ImapParser(FAST)
    channel = await connector.open(place, recorder)
    try:
        await converse(talk, parser, channel=channel, connector=connector, host=place.host, recorder=recorder)
    except WireFault as fault:
        return fault
    finally:
        channel.close()
    return None
