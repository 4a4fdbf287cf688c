"""Campaigns, warm-up and inboxes of ours on Dovecot and Postfix: mail moves between servers of others (issue 5)."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Callable

import pytest

from campaigns.models import Lead
from mailboxes.health.outgoing import Outgoing
from mailboxes.models import FolderCursor, InboxState, InMessage, Mailbox, OutMessage
from mailboxes.reconnect.credentials import Password, replace
from mailboxes.wire.runner import Bounds
from mailboxes.wire.values import Login
from tests.foreign.conftest import Foreign
from tests.foreign.postfix import Postfix
from tests.foreign.processes import LISTEN
from tests.foreign.test_dovecot import client
from tests.foreign.test_postfix import place
from tests.make import START, Clock, make_mailbox, make_workspace
from tests.post import connect, make_campaign, make_pool, read, run, work
from warmup.models import Exchange

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("foreign")]


@pytest.fixture
def outgoing(foreign: Foreign, postfix: Postfix, clock: Clock) -> Outgoing:
    connector = foreign.connector(foreign.dovecot.ports | postfix.ports)
    return Outgoing(mail=connector, tokens=connector, bounds=Bounds(), clock=clock)


def made(foreign: Foreign, postfix: Postfix) -> tuple[Mailbox, Login]:
    login, smtp, imap = foreign.login(), place(postfix), foreign.place("imap")
    values = {"smtp_host": smtp.host, "smtp_port": smtp.port, "imap_host": imap.host, "imap_port": imap.port}
    mailbox = make_mailbox(address=login.username, workspace=make_workspace(), **values)
    replace(mailbox, Password(login.secret), acting_user=None, now=START)
    return Mailbox.objects.get(pk=mailbox.pk), login


def until(holds: Callable[[], object], outgoing: Outgoing, clock: Clock) -> None:
    """Rounds of reading until it holds: Postfix delivers in its own time."""
    for _round in range(60):
        read(outgoing)
        if holds():
            return
        clock.move(seconds=1)
        wait()
    raise AssertionError("it did not come to that")


def wait() -> None:
    threading.Event().wait(0.1)


def answer(foreign: Foreign, postfix: Postfix, person: Login, to: str, message_id: bytes) -> None:
    """The person answers what they got, by a program of others."""
    message = (
        f"From: {person.username}\r\nTo: {to}\r\nSubject: Re: hello\r\nMessage-ID: <answer@foreign.test>\r\n"
        f"In-Reply-To: {message_id.decode()}\r\n\r\nYes, please.\r\n"
    )
    context = foreign.dovecot.authority.trusting()
    context.check_hostname = False
    with smtplib.SMTP_SSL(LISTEN, postfix.submissions, context=context) as server:
        server.login(person.username, person.secret)
        server.sendmail(person.username, [to], message)


def first_message_id(foreign: Foreign, login: Login) -> bytes:
    with client(foreign, login) as other:
        other.select_folder("INBOX", readonly=True)
        for data in other.fetch(other.search(), ["BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"]).values():
            return bytes(data[b"BODY[HEADER.FIELDS (MESSAGE-ID)]"]).partition(b":")[2].strip()
    return b""


def test_k6_a_campaign_is_sent_answered_refused_and_returned(
    foreign: Foreign, postfix: Postfix, outgoing: Outgoing, clock: Clock
) -> None:
    mailbox, _login = made(foreign, postfix)
    person = foreign.login()
    connect([mailbox], outgoing)
    campaign = make_campaign([mailbox], [person.username, "gone@foreign.test", "nobody@foreign.test"])
    run(campaign, clock.now)
    for _round in range(3):
        work(outgoing)
        clock.move(minutes=2)
    assert OutMessage.objects.filter(state="sent").count() == 2
    assert Lead.objects.get(email="nobody@foreign.test").state == Lead.State.REFUSED
    assert Mailbox.objects.get(pk=mailbox.pk).status == "connected"
    until(lambda: Lead.objects.get(email="gone@foreign.test").state == Lead.State.BOUNCED, outgoing, clock)
    until(lambda: first_message_id(foreign, person), outgoing, clock)
    answer(foreign, postfix, person, mailbox.address, first_message_id(foreign, person))
    until(lambda: Lead.objects.get(email=person.username).state == Lead.State.REPLIED, outgoing, clock)
    with client(foreign, _login) as other:
        other.select_folder("INBOX", readonly=True)
        assert all(b"\\Seen" not in data[b"FLAGS"] for data in other.fetch(other.search(), ["FLAGS"]).values())


def test_w1_warm_up_mail_is_rescued_from_junk(
    foreign: Foreign, postfix: Postfix, outgoing: Outgoing, clock: Clock
) -> None:
    (one, _one_login), (two, two_login) = made(foreign, postfix), made(foreign, postfix)
    connect([one, two], outgoing)
    pool = make_pool([one, two], clock.now, answered_percent=0)
    pool.members.filter(mailbox=two).update(next_at=clock.now.replace(year=2030))
    work(outgoing)

    def to_junk() -> bool:
        with client(foreign, two_login) as other:
            other.select_folder("INBOX")
            found = other.search()
            if found:
                other.move(found, "Junk")
            return bool(found)

    for _look in range(60):
        if to_junk():
            break
        wait()
    read(outgoing)
    exchange = Exchange.objects.get()
    assert (exchange.placement, exchange.receiver.mailbox) == ("junk", two)
    read(outgoing)
    with client(foreign, two_login) as other:
        assert other.select_folder("Junk", readonly=True)[b"EXISTS"] == 0
        other.select_folder("INBOX", readonly=True)
        assert len(other.search("SEEN")) == 1
    read(outgoing)
    assert InMessage.objects.filter(mailbox=two).count() == 1


def test_i1_a_folder_built_anew_is_read_again_without_loss_or_doubles(
    foreign: Foreign, postfix: Postfix, outgoing: Outgoing, clock: Clock
) -> None:
    mailbox, login = made(foreign, postfix)
    for number in range(120):
        raw = f"From: a@b.test\r\nMessage-ID: <{number}@b.test>\r\nSubject: {number}\r\n\r\n{'x' * number * 50}\r\n"
        foreign.dovecot.deliver(login.username, raw.encode())
    connect([mailbox], outgoing)
    before = FolderCursor.objects.get(mailbox=mailbox, role="inbox")
    assert InMessage.objects.filter(mailbox=mailbox).count() == 120
    for name in ("dovecot-uidlist", "dovecot-uidvalidity"):
        for path in (foreign.dovecot.mail / login.username).glob(f"{name}*"):
            path.unlink()
    for path in (foreign.dovecot.mail / login.username).glob("dovecot.index*"):
        path.unlink()
    foreign.dovecot.deliver(login.username, b"From: a@b.test\r\nMessage-ID: <new@b.test>\r\n\r\nnew\r\n")
    clock.move(minutes=5)
    read(outgoing)
    after = FolderCursor.objects.get(mailbox=mailbox, role="inbox")
    assert after.uidvalidity != before.uidvalidity
    ids = list(InMessage.objects.filter(mailbox=mailbox).values_list("message_id", flat=True))
    assert len(ids) == len(set(ids)) == 121
    assert InboxState.objects.get(mailbox=mailbox).complete_at == clock.now
