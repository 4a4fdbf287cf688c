"""What Postmend sends comes through Postfix as it was made, also where it offers no extension (SRV-5, CODE-2)."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.core.mail import get_connection, send_mail

from mailboxes.health.messages import to_itself
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.targets import load
from mailboxes.models import Mailbox, OutMessage
from mailboxes.outbox import queue
from mailboxes.outbox.letters import letter
from mailboxes.outbox.sending import send_due
from mailboxes.wire.runner import Bounds, check
from mailboxes.wire.values import Login
from tests.foreign.conftest import Foreign
from tests.foreign.postfix import Postfix
from tests.foreign.processes import LISTEN
from tests.foreign.test_dovecot import client
from tests.foreign.test_mail import made
from tests.linter import faults, name_of, read, text_of
from tests.make import Clock
from tests.post import connect
from tests.wire.test_mime import ODD, SCRIPTS

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("foreign")]


@pytest.fixture
def outgoing(foreign: Foreign, postfix: Postfix, clock: Clock) -> Outgoing:
    connector = foreign.connector(foreign.dovecot.ports | postfix.ports)
    return Outgoing(mail=connector, tokens=connector, bounds=Bounds(), clock=clock)


def delivered(foreign: Foreign, login: Login, amount: int) -> list[bytes]:
    """The messages in the inbox, without the trace that the servers put before them."""
    for _look in range(100):
        with client(foreign, login) as other:
            other.select_folder("INBOX", readonly=True)
            found = [bytes(data[b"BODY[]"]) for data in other.fetch(other.search(), ["BODY.PEEK[]"]).values()]
        if len(found) >= amount:
            return [raw[raw.index(b"\r\nFrom: ") + 2 :] for raw in found]
        threading.Event().wait(0.1)
    raise AssertionError("they did not arrive")


@pytest.mark.parametrize("port", ["submissions", "bare"])
def test_srv5_messages_of_six_scripts_come_through_postfix_unchanged(
    foreign: Foreign, postfix: Postfix, outgoing: Outgoing, clock: Clock, port: str
) -> None:
    mailbox, _login = made(foreign, postfix)
    Mailbox.objects.filter(pk=mailbox.pk).update(smtp_port=getattr(postfix, port), sender_name=SCRIPTS["chinese"])
    mailbox.refresh_from_db()
    connect([mailbox], outgoing)
    person = foreign.login()
    for words in SCRIPTS.values():
        text, page = f"{words * 30}\n{ODD}", f"<p>{words * 30}</p>"
        draft = queue.Draft(mailbox, "campaign", person.username, words * 4, text, clock.now, html=page)
        queue.put([draft], clock.now)
        send_due(10, outgoing)
    rows = list(OutMessage.objects.select_related("mailbox").order_by("id"))
    assert {row.state for row in rows} == {"sent"}
    arrived = {str(read(raw)["Message-ID"]): raw for raw in delivered(foreign, person, len(rows))}
    for row, words in zip(rows, SCRIPTS.values(), strict=True):
        raw = arrived[row.message_id]
        assert raw == letter(row).body
        assert faults(raw) == []
        message = read(raw)
        assert (message["Subject"], name_of(raw)[0]) == (words * 4, SCRIPTS["chinese"])
        assert text_of(message).rstrip("\n") == f"{words * 30}\n{ODD}".rstrip("\n")


def test_srv5_the_test_message_comes_through_postfix(
    foreign: Foreign, postfix: Postfix, outgoing: Outgoing, clock: Clock
) -> None:
    mailbox, login = made(foreign, postfix)
    [subject] = load([mailbox.pk], clock.now)
    own = to_itself(subject)
    assert all(report.ok for report in asyncio.run(check(subject.target("", own), outgoing.mail)))
    assert delivered(foreign, login, 1) == [own.body]
    assert faults(own.body) == []


def test_srv5_invitations_and_recovery_come_through_postfix_with_the_same_builder(
    foreign: Foreign, postfix: Postfix
) -> None:
    person, words = foreign.login(), SCRIPTS["greek"]
    backend = "mailboxes.outbox.operator.EmailBackend"
    with get_connection(backend, host=LISTEN, port=postfix.relay) as connection:
        assert (
            send_mail(words, f"{words}\n{ODD}", "no-reply@foreign.test", [person.username], connection=connection) == 1
        )
    [raw] = delivered(foreign, person, 1)
    assert faults(raw) == []
    assert read(raw)["Subject"] == words
    assert text_of(read(raw)).rstrip("\n") == f"{words}\n{ODD}".rstrip("\n")
