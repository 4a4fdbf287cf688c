"""A server that knows the secret puts it wherever its words are kept: none of it stays (SPEC S1; SRV-11)."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.imap_visit import visit
from mailboxes.wire.runner import check
from mailboxes.wire.values import LegTarget, Login, Security, Target
from mailboxes.wire.visits import Visit, VisitPlan
from tests.make import FAST
from tests.secrets import MARK
from tests.wire.talker import HOST, Talker, reach

PASSWORD = f"{MARK}-0123456789"
NEAR_THE_CUT = b"x" * 185 + PASSWORD.encode()
EHLO = (b"220 hi\r\n", b"250-x\r\n250 AUTH PLAIN\r\n")


def checked(sandbox: Sandbox, name: str, talker: Talker, *, folders: bool = False) -> str:
    """All that a check of this leg keeps, as one text in lower case."""
    connector, place = reach(sandbox, talker, FAST, Security.SSL)
    wanted = LegTarget(place, Login("me@example.test", PASSWORD))
    target = Target(wanted, None) if name == "smtp" else Target(None, wanted, list_folders=folders)
    return str(asyncio.run(check(target, connector))).lower()


def visited(sandbox: Sandbox, talker: Talker) -> Visit:
    connector, place = reach(sandbox, talker, FAST, Security.SSL)
    wanted = LegTarget(place, Login("me@example.test", PASSWORD))
    return asyncio.run(visit(wanted, VisitPlan("INBOX", (), date(2026, 11, 1)), connector))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smtp", (*EHLO, b"535 " + NEAR_THE_CUT)),  # the connection ends within the line
        ("smtp", (*EHLO, b"535 " + NEAR_THE_CUT + b"y" * 40_000)),
        ("smtp", (*EHLO, b"535-" + PASSWORD[:9].encode() + b"\r\n535 " + PASSWORD[9:].encode() + b"\r\n")),
        ("smtp", (*EHLO, b"535 " + PASSWORD[:9].encode() + b"\0" + PASSWORD[9:].encode() + b"\r\n")),
        ("smtp", (*EHLO, PASSWORD.encode() + b"\r\n")),  # no reply of SMTP
        ("imap", (NEAR_THE_CUT + b"y" * 40_000,)),
        ("imap", (b"* OK " + NEAR_THE_CUT + b"{9000000000}\r\n",)),
        ("imap", (b"* BYE " + PASSWORD[:9].encode() + b"\xc2\xad" + PASSWORD[9:].encode() + b"\r\n",)),
        ("imap", (b"* OK hi\r\n", (b"* OK " + NEAR_THE_CUT + b"\r\n") * 2000)),
    ],
)
def test_srv11_whatever_ends_a_check_keeps_nothing_of_the_secret(
    sandbox: Sandbox, name: str, said: tuple[bytes, ...]
) -> None:
    with Talker(*said, tls=sandbox.authority.context(HOST, ""), closes=True) as talker:
        kept = checked(sandbox, name, talker)
    assert MARK[:6].lower() not in kept
    assert "0123456789" not in kept


def test_srv11_bytes_before_tls_keep_nothing_of_the_secret(sandbox: Sandbox) -> None:
    said = (b"220 hi\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n" + NEAR_THE_CUT)
    with Talker(*said) as talker:
        connector, place = reach(sandbox, talker, FAST, Security.STARTTLS)
        wanted = LegTarget(place, Login("me@example.test", PASSWORD))
        kept = str(asyncio.run(check(Target(wanted, None), connector)))
    assert "PLAINTEXT_BEFORE_TLS" in kept
    assert MARK[:6] not in kept


IMAP_LOGIN = (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n", b"A1 OK in\r\n")


def test_srv11_offered_folders_keep_nothing_of_the_secret(sandbox: Sandbox) -> None:
    folder = f'* LIST () "/" "{PASSWORD.upper()}"\r\n* LIST () "/" Plain\r\nA3 OK\r\n'.encode()
    said = (*IMAP_LOGIN, b"A2 NO no such folder\r\n", folder)
    with Talker(*said, tls=sandbox.authority.context(HOST, "")) as talker:
        kept = checked(sandbox, "imap", talker, folders=True)
    assert "plain" in kept
    assert MARK.lower() not in kept


def test_srv11_a_folder_named_like_the_secret_is_not_kept(sandbox: Sandbox) -> None:
    listed = f'* LIST (\\Junk) "/" "{PASSWORD}"\r\n* LIST (\\Sent) "/" Mail\r\nA2 OK\r\n'.encode()
    with Talker(*IMAP_LOGIN, listed, tls=sandbox.authority.context(HOST, "")) as talker:
        found = visited(sandbox, talker)
    assert "Mail" in found.places.values()
    assert MARK not in str(found)


def test_srv11_the_reason_for_a_message_that_does_not_come_keeps_nothing_of_the_secret(sandbox: Sandbox) -> None:
    refused = f"NO {PASSWORD} is wrong\r\n".encode()
    said = (
        *IMAP_LOGIN,
        b"A2 OK\r\n",
        b"* 1 EXISTS\r\n* OK [UIDVALIDITY 5]\r\nA3 OK\r\n",
        b"* SEARCH 9\r\nA4 OK\r\n",
        b"* SEARCH 9\r\nA5 OK\r\n",
        b"* SEARCH 9\r\nA6 OK\r\n",
        b"A7 " + refused,
        b"A8 OK\r\n",
        b"* SEARCH 9\r\nA9 OK\r\n",
        b"A10 " + refused,
        b"A11 OK\r\n",
        b"* SEARCH 9\r\nA12 OK\r\n",
    )
    with Talker(*said, tls=sandbox.authority.context(HOST, "")) as talker:
        found = visited(sandbox, talker)
    assert found.folders and found.folders[0].unread is not None, found
    assert found.folders[0].unread.reason.endswith("NO [secret] is wrong")
