"""Our checks against Postfix, with Dovecot on the reading side: mail really moves between servers of others."""

from __future__ import annotations

import email
import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest

from mailboxes.diagnosis.categories import Category
from mailboxes.wire.values import Endpoint, LegTarget, Letter, Login, Report, SecretKind, Security, Stage, Target
from tests.foreign.conftest import Foreign, both, category, run, to_itself
from tests.foreign.postfix import Postfix
from tests.foreign.processes import LISTEN
from tests.foreign.test_dovecot import client
from tests.make import secret

pytestmark = pytest.mark.xdist_group("foreign")


def place(postfix: Postfix, security: Security = Security.SSL) -> Endpoint:
    port = postfix.submissions if security is Security.SSL else postfix.submission
    return Endpoint(postfix.host, port, security)


def check(foreign: Foreign, postfix: Postfix, target: Target) -> dict[str, Report]:
    return run(foreign, target, foreign.dovecot.ports | postfix.ports)


@pytest.mark.parametrize("by", ["postfix ssl", "postfix starttls", "dovecot ssl"])
def test_c5_a_message_is_sent_and_found_again(foreign: Foreign, postfix: Postfix, by: str) -> None:
    server, _, security = by.partition(" ")
    smtp = place(postfix, Security(security)) if server == "postfix" else foreign.place("smtp")
    login = foreign.login()
    reports = check(foreign, postfix, both(smtp, foreign.place("imap"), login, message=to_itself(login.username)))
    assert [(leg, report.failed) for leg, report in reports.items()] == [("smtp", None), ("imap", None)]
    assert reports["imap"].steps[-1].stage is Stage.READ


@pytest.mark.parametrize("long", [1, 4000])
def test_a_message_arrives_byte_for_byte(foreign: Foreign, postfix: Postfix, long: int) -> None:
    login = foreign.login()
    text = "\r\n".join([".", "..two", ".leading", *(["x" * 900] * long), "", "tail "])
    message = to_itself(login.username, text)
    check(foreign, postfix, both(place(postfix), foreign.place("imap"), login, message=message))
    with client(foreign, login) as other:
        other.select_folder("INBOX", readonly=True)
        (found,) = other.fetch(other.search(), ["BODY.PEEK[TEXT]"]).values()
    assert found[b"BODY[TEXT]"] == message.body.partition(b"\r\n\r\n")[2]


def test_a_token_passes_by_postfix_too(foreign: Foreign, postfix: Postfix) -> None:
    token = Login(foreign.login().username, secret(), SecretKind.ACCESS_TOKEN)
    foreign.introspection.tokens[token.secret] = token.username
    reports = check(foreign, postfix, both(place(postfix), foreign.place("imap"), token))
    assert {leg: report.ok for leg, report in reports.items()} == {"smtp": True, "imap": True}


def test_h4_a_wrong_password_is_refused(foreign: Foreign, postfix: Postfix) -> None:
    bad = replace(foreign.login(), secret=secret())
    report = check(foreign, postfix, Target(LegTarget(place(postfix), bad), None))["smtp"]
    assert report.failed is not None and report.failed.code == "535 5.7.8"
    assert category(report) is Category.AUTH_FAILED


def test_an_unknown_recipient_says_nothing_against_the_mailbox(foreign: Foreign, postfix: Postfix) -> None:
    login = foreign.login()
    lost = Letter(login.username, "nobody@foreign.test", "<lost@foreign.test>", b"\r\nlost\r\n")
    report = check(foreign, postfix, Target(LegTarget(place(postfix), login), None, message=lost))["smtp"]
    assert report.failed is not None and report.failed.stage is Stage.RCPT
    assert category(report) is Category.RECIPIENT_REJECTED


def test_too_many_connections_pass_by_themselves(foreign: Foreign, postfix: Postfix) -> None:
    login = foreign.login()
    with ExitStack() as held:
        for _one in range(postfix.user_connections):
            raw = held.enter_context(socket.create_connection((LISTEN, postfix.submission), timeout=5))
            assert raw.recv(512).startswith(b"220")
        target = Target(LegTarget(place(postfix, Security.STARTTLS), login), None)
        assert category(check(foreign, postfix, target)["smtp"]) is Category.RATE_LIMITED


def test_a_server_that_is_stopped_refuses_and_comes_back(foreign: Foreign, postfix: Postfix) -> None:
    target = Target(LegTarget(place(postfix), foreign.login()), None)
    postfix.stop()
    assert category(check(foreign, postfix, target)["smtp"]) is Category.CONNECTION_REFUSED
    postfix.start()
    assert check(foreign, postfix, target)["smtp"].ok


def test_the_message_that_arrived_is_ours(foreign: Foreign, postfix: Postfix) -> None:
    login = foreign.login()
    message = to_itself(login.username)
    check(foreign, postfix, both(place(postfix), foreign.place("imap"), login, message=message))
    with client(foreign, login) as other:
        other.select_folder("INBOX", readonly=True)
        (found,) = other.fetch(other.search(), ["RFC822.HEADER"]).values()
    assert email.message_from_bytes(found[b"RFC822.HEADER"])["Message-ID"] == message.message_id
