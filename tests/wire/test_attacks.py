"""The connector under attack (SPEC S2, S3): all refused, with a clear error, and no connection where none must be.

Hostile servers are real ones on loopback; see `talker.py`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
import warnings
from dataclasses import replace

import pytest

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.runner import check
from mailboxes.wire.values import Endpoint, LegTarget, Letter, Limits, Login, Report, Security, Stage, Step, Target
from tests.make import FAST, make_account
from tests.wire.battery import ADDRESSES, BREAKS, HOSTS, PORTS
from tests.wire.talker import HOST, MOST_BYTES, Names, Talker, reach

LOGIN = Login("me@example.test", "the-password-of-me")
IN_CLEAR = (b"the-password", b"AGVA", b"AUTH")
SHORT = replace(FAST, command_s=1.0, total_s=1.5)


def leg(name: str, place: Endpoint, login: Login = LOGIN) -> Target:
    wanted = LegTarget(place, login)
    return Target(wanted, None) if name == "smtp" else Target(None, wanted)


def failure(target: Target, connector: Connector) -> Step:
    """The failed step of a check of one leg."""
    (report,) = asyncio.run(check(target, connector))
    assert report.failed is not None, "the attack passed"
    return report.failed


def attacked(sandbox: Sandbox, talker: Talker, name: str, security: Security, limits: Limits = FAST) -> Step:
    connector, place = reach(sandbox, talker, limits, security)
    return failure(leg(name, place), connector)


def closed(sandbox: Sandbox, resolver: Names, ports: set[int], touched: list[tuple[str, int]]) -> Connector:
    """A connector as in production: no private network is open. It tells of a connection, and makes none."""

    def on_connect(address: str, port: int) -> None:
        touched.append((address, port))
        raise AssertionError(f"about to connect to {address}:{port}")

    policy = AddressPolicy(allowed_ports=frozenset(ports))
    tls = sandbox.connector(FAST).tls
    return Connector(resolver=resolver, policy=policy, tls=tls, limits=FAST, on_connect=on_connect)


# ---- where to


@pytest.mark.parametrize("address", ADDRESSES)
def test_s2_a_name_with_an_address_that_is_not_public_makes_no_connection(sandbox: Sandbox, address: str) -> None:
    touched: list[tuple[str, int]] = []
    with Talker(b"220 hi\r\n") as talker:
        connector = closed(sandbox, Names([address]), {talker.port}, touched)
        step = failure(leg("smtp", Endpoint(HOST, talker.port, Security.SSL)), connector)
        assert (step.stage, step.code) == (Stage.DNS, "REFUSED_BY_POLICY")
        assert "not a public address" in step.text
        assert (touched, talker.connections) == ([], 0)


def test_s2_one_bad_address_among_good_ones_makes_no_connection(sandbox: Sandbox) -> None:
    touched: list[tuple[str, int]] = []
    connector = closed(sandbox, Names(["8.8.8.8", "127.0.0.1"]), set(), touched)
    assert failure(leg("imap", Endpoint(HOST, 993, Security.SSL)), connector).code == "REFUSED_BY_POLICY"
    assert touched == []


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", ["smtp", "imap"])
def test_s2_a_host_that_is_no_plain_name_is_not_even_looked_up(sandbox: Sandbox, host: str, name: str) -> None:
    touched: list[tuple[str, int]] = []
    names = Names(["8.8.8.8"])
    step = failure(leg(name, Endpoint(host, 993, Security.SSL)), closed(sandbox, names, set(), touched))
    assert (step.stage, step.code) == (Stage.DNS, "REFUSED_BY_POLICY")
    assert "host" in step.text
    assert (names.asked, touched) == (0, [])


@pytest.mark.parametrize("port", PORTS)
def test_s2_a_port_that_is_not_for_mail_makes_no_connection(sandbox: Sandbox, port: int) -> None:
    touched: list[tuple[str, int]] = []
    step = failure(leg("smtp", Endpoint(HOST, port, Security.SSL)), closed(sandbox, Names(["8.8.8.8"]), set(), touched))
    assert "use one of 143, 465, 587, 993, 2525" in step.text
    assert touched == []


def test_s2_an_answer_that_changes_between_look_ups_changes_nothing(sandbox: Sandbox) -> None:
    """What was judged is what is connected to: the name is asked for once, and never by the system."""
    with Talker(address="127.0.0.3") as judged, Talker() as other:
        names = Names(["127.0.0.3"], ["127.0.0.1"])
        policy = AddressPolicy(
            allowed_networks=(ipaddress.ip_network("127.0.0.3/32"),), allowed_ports=frozenset({judged.port, other.port})
        )
        connector = Connector(resolver=names, policy=policy, tls=sandbox.connector(SHORT).tls, limits=SHORT)
        assert failure(leg("imap", Endpoint(HOST, judged.port, Security.SSL)), connector).stage is Stage.TLS
        assert (names.asked, judged.connections) == (1, 1)
        second = failure(leg("imap", Endpoint(HOST, other.port, Security.SSL)), connector)
        assert (second.code, other.connections) == ("REFUSED_BY_POLICY", 0)


# ---- what is typed


@pytest.mark.parametrize("attack", BREAKS, ids=ascii)
@pytest.mark.parametrize("field", ["username", "secret", "host", "folder", "sender", "recipient", "message_id"])
def test_s3_a_control_character_in_any_field_makes_no_connection(sandbox: Sandbox, field: str, attack: str) -> None:
    parts = {"username": "me", "secret": "password", "host": HOST, "folder": "INBOX"}
    mail = {"sender": "me@example.test", "recipient": "me@example.test", "message_id": "<1@example.test>"}
    for typed in (parts, mail):
        typed |= {key: value + attack for key, value in typed.items() if key == field}
    touched: list[tuple[str, int]] = []
    names = Names(["8.8.8.8"])
    wanted = LegTarget(Endpoint(parts["host"], 993, Security.SSL), Login(parts["username"], parts["secret"]))
    reading = None if field in mail else wanted  # what cannot be sent keeps nobody from reading
    target = Target(wanted, reading, folder=parts["folder"], message=Letter(**mail, body=b"x"))
    reports = asyncio.run(check(target, closed(sandbox, names, set(), touched)))
    assert reports[0].failed is not None and reports[0].failed.code == "BAD_TEXT"
    assert attack not in reports[0].failed.text
    assert (names.asked, touched) == (0, [])


@pytest.mark.parametrize("address", ["a@b.test> SIZE=1", "<a@b.test", "a@b.test RCPT", "a@b.test>\t"])
@pytest.mark.parametrize("field", ["sender", "recipient"])
def test_s3_an_address_that_would_end_its_command_makes_no_connection(
    sandbox: Sandbox, field: str, address: str
) -> None:
    mail = {"sender": "me@example.test", "recipient": "me@example.test"} | {field: address}
    touched: list[tuple[str, int]] = []
    target = replace(
        leg("smtp", Endpoint(HOST, 465, Security.SSL)), message=Letter(**mail, message_id="<1@b.test>", body=b"x")
    )
    step = failure(target, closed(sandbox, Names(["8.8.8.8"]), set(), touched))
    assert (step.code, touched) == ("BAD_TEXT", [])


# ---- TLS


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smtp", (b"220 hi\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n")),
        ("imap", (b"* OK hi\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\nA1 OK\r\n", b"A2 OK go\r\n* OK injected\r\n")),
    ],
)
def test_s2_bytes_before_the_upgrade_are_refused(sandbox: Sandbox, name: str, said: tuple[bytes, ...]) -> None:
    with Talker(*said) as talker:
        step = attacked(sandbox, talker, name, Security.STARTTLS)
    assert (step.stage, step.code) == (Stage.TLS, "PLAINTEXT_BEFORE_TLS")
    assert not any(word in talker.heard for word in IN_CLEAR)


@pytest.mark.parametrize("security", list(Security))
def test_s2_preauth_is_refused_and_no_login_sent(sandbox: Sandbox, security: Security) -> None:
    tls = sandbox.authority.context(HOST, "") if security is Security.SSL else None
    with Talker(b"* PREAUTH welcome back\r\n", tls=tls) as talker:
        assert attacked(sandbox, talker, "imap", security).code == "PREAUTH"
    assert talker.heard == b""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smtp", (b"220 hi\r\n", b"250-x\r\n250 AUTH PLAIN LOGIN\r\n")),
        ("imap", (b"* OK hi\r\n", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nA1 OK\r\n")),
        ("smtp", (b"220 hi\r\n", b"250-x\r\n250 STARTTLS\r\n", b"454 4.7.0 no TLS today\r\n")),
        ("imap", (b"* OK hi\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\nA1 OK\r\n", b"A2 NO no TLS today\r\n")),
    ],
)
def test_s2_a_login_never_goes_out_in_clear_text(sandbox: Sandbox, name: str, said: tuple[bytes, ...]) -> None:
    with Talker(*said) as talker:
        assert attacked(sandbox, talker, name, Security.STARTTLS, SHORT).stage is Stage.TLS
    assert not any(word in talker.heard for word in IN_CLEAR)


@pytest.mark.parametrize("kind", ["wrong_name", "expired", "foreign", "self_signed"])
def test_s2_a_certificate_that_does_not_hold_ends_before_the_login(sandbox: Sandbox, kind: str) -> None:
    with Talker(b"220 hi\r\n", tls=sandbox.authority.context(HOST, kind)) as talker:
        step = attacked(sandbox, talker, "smtp", Security.SSL)
    assert (step.stage, step.code) == (Stage.TLS, "CERTIFICATE_VERIFY_FAILED")
    assert talker.heard == b""


def test_s2_tls_older_than_1_2_is_refused(sandbox: Sandbox) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    sandbox.authority.certificate(HOST).configure_cert(old)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with Talker(b"220 hi\r\n", tls=old) as talker:
        assert attacked(sandbox, talker, "smtp", Security.SSL).stage is Stage.TLS


# ---- how much, how slowly


@pytest.mark.parametrize(
    ("name", "said", "flood", "code"),
    [
        ("smtp", (), b"2" * 8192, "LINE_TOO_LONG"),
        ("smtp", (), b"220-and on\r\n" * 500, "REPLY_TOO_LONG"),
        ("smtp", (b"220 hi\r\n",), b"250-X-ENDLESS\r\n" * 500, "REPLY_TOO_LONG"),
        ("imap", (), b"*" * 8192, "LINE_TOO_LONG"),
        ("imap", (b"* OK hi\r\n",), b"* CAPABILITY IMAP4rev1 X-ENDLESS\r\n" * 300, "REPLY_TOO_LONG"),
        ("imap", (b"* OK hi\r\n",), b"* OK {4000000000}\r\n" + b"x" * 8192, "LITERAL_TOO_LONG"),
        ("imap", (b"* OK hi\r\n",), b"* OK {60000}\r\n" + b"x" * 60_000, "REPLY_TOO_LONG"),
    ],
)
def test_s2_an_endless_answer_is_cut_off(
    sandbox: Sandbox, name: str, said: tuple[bytes, ...], flood: bytes, code: str
) -> None:
    tls = sandbox.authority.context(HOST, "")
    with Talker(*said, flood=flood, tls=tls) as talker:
        assert attacked(sandbox, talker, name, Security.SSL).code == code
    assert talker.sent < MOST_BYTES // 4  # what the kernel buffers, and no more


@pytest.mark.parametrize("name", ["smtp", "imap"])
def test_s2_one_byte_after_the_other_ends_at_the_deadline(sandbox: Sandbox, name: str) -> None:
    with Talker(flood=b"2", pause_s=0.05, tls=sandbox.authority.context(HOST, "")) as talker:
        began = time.monotonic()
        step = attacked(sandbox, talker, name, Security.SSL, SHORT)
    assert step.code == "ETIMEDOUT"
    assert time.monotonic() - began < SHORT.total_s + 3


def test_h5_a_tls_handshake_that_hangs_is_a_timeout_and_no_reset(sandbox: Sandbox) -> None:
    with Talker() as talker:
        step = attacked(sandbox, talker, "imap", Security.SSL, replace(FAST, connect_s=0.3))
    assert (step.stage, step.code) == (Stage.TLS, "ETIMEDOUT")


def test_s1_a_server_that_repeats_the_login_gets_it_into_no_report(sandbox: Sandbox) -> None:
    said = (
        b"220 hi\r\n",
        b"250-x\r\n250 AUTH LOGIN\r\n",
        b"334 \r\n",
        b"334 \r\n",
        b"535 5.7.8 the-password-of-me\r\n",
    )
    with Talker(*said, tls=sandbox.authority.context(HOST, "")) as talker:
        connector, place = reach(sandbox, talker, FAST, Security.SSL)
        reports: tuple[Report, ...] = asyncio.run(check(leg("smtp", place), connector))
    assert b"the-password" not in talker.heard  # it went out as base64
    assert "the-password" not in str(reports)


# ---- beside others

SLOW_ANSWERS = {
    "a literal of many digits": ("imap", b"* OK {" + b"0" * 16_000 + b"x}\r\n", b""),
    "many literals that are none": ("imap", b"* OK " + b"{1" * 8_000 + b"\r\n", b""),
    "brackets": ("imap", b"* OK " + b"[A" * 8_000 + b"\r\n", b""),
    "quotes": ("imap", b"* LIST (" + b'"\\' * 8_000 + b"\r\n", b""),
    "short lines without end": ("imap", b"* OK hi\r\n", b"* OK\r\n" * 500),
    "blank lines": ("smtp", b"220 hi\r\n", b"\n" * 8192),
    "lines of one reply": ("smtp", b"", b"220-\n" * 500),
    "one long line": ("smtp", b"", b"2" * 8192),
    "invisible characters": ("smtp", b"535 " + "\u200b".encode() * 5_000 + b"\r\n", b""),
    "escapes": ("smtp", b"535 " + b"%41&#65;\\u0041" * 1_000 + b"\r\n", b""),
}


@pytest.mark.parametrize("answer", SLOW_ANSWERS)
def test_srv1_two_healthy_checks_beside_a_hostile_server_end_in_time(sandbox: Sandbox, answer: str) -> None:
    name, said, flood = SLOW_ANSWERS[answer]
    healthy = [make_account(sandbox) for _number in range(2)]
    with Talker(*[said] * bool(said), flood=flood, tls=sandbox.authority.context(HOST, "")) as talker:
        hostile, place = reach(sandbox, talker, SHORT, Security.SSL)
        usual = sandbox.connector(FAST)

        async def timed(account: Account) -> tuple[tuple[Report, ...], float]:
            began = time.monotonic()
            return await check(healthy_target(account), usual), time.monotonic() - began

        async def side_by_side() -> list[tuple[tuple[Report, ...], float]]:
            beside = asyncio.gather(*(check(leg(name, place), hostile) for _number in range(4)))
            found = await asyncio.gather(*map(timed, healthy))
            await beside
            return list(found)

        found = asyncio.run(side_by_side())
    assert all(report.ok for reports, _took_s in found for report in reports)
    assert max(took_s for _reports, took_s in found) < FAST.total_s / 2


def healthy_target(account: Account) -> Target:
    assert account.smtp and account.imap
    login = Login(account.address, account.password)
    return Target(LegTarget(account.smtp, login), LegTarget(account.imap, login))
