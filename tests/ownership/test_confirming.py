"""An address works once its code has come by the domain's MX (SPEC C10; finding SEC-5). Real servers and sockets."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.mail import EmailMessage

from mailboxes.inbox import visiting
from mailboxes.limits import Limited
from mailboxes.models import AddressConfirmation, AuditEntry, InMessage, Mailbox
from mailboxes.outbox import marks
from mailboxes.ownership.asking import send_again, start
from mailboxes.ownership.confirming import Typed, type_code
from mailboxes.ownership.sending import send_due, waiting
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.dns_server import Zone
from mailboxes.sandbox.folders import INBOX, JUNK, Message
from mailboxes.sandbox.post_office import Person
from mailboxes.sandbox.server import Sandbox
from tests.make import Clock, make_mailbox, make_member, make_outgoing, make_sandbox_mailbox
from tests.post import connect, make_pool
from warmup.models import PoolMember

pytestmark = pytest.mark.django_db(transaction=True)


def unconfirmed(sandbox: Sandbox, clock: Clock, **values: Any) -> tuple[Mailbox, Account]:
    """A connected mailbox, read to its end, for whose address a code waits."""
    mailbox, account = make_sandbox_mailbox(sandbox, confirmed=False, **values)
    connect([mailbox], make_outgoing(sandbox, clock))
    start(mailbox, clock.now)
    return mailbox, account


def work(mailbox: Mailbox, clock: Clock) -> Mailbox:
    """It is connected by now."""
    Mailbox.objects.filter(pk=mailbox.pk).update(status="connected", status_since=clock.now)
    return mailbox


def works(mailbox: Mailbox, clock: Clock) -> bool:
    return Mailbox.objects.can_send(clock.now).filter(pk=mailbox.pk).exists()


def code_in(raw: bytes) -> str:
    found = re.search(rb"Your code:\s+([0-9A-Z]{4}-[0-9A-Z]{4})\s", raw)
    assert found
    return found.group(1).decode()


def arrived(account: Account) -> list[Message]:
    """The code mails in its Inbox."""
    return [one for one in account.folders[INBOX] if b"Your code" in one.raw]


def confirmation(mailbox: Mailbox) -> AddressConfirmation:
    return AddressConfirmation.objects.get(mailbox=mailbox)


@pytest.mark.parametrize("folder", [INBOX, JUNK])
def test_c10_a_mailbox_confirms_itself_by_the_code_in_inbox_or_junk(
    sandbox: Sandbox, clock: Clock, folder: str
) -> None:
    mailbox, account = unconfirmed(sandbox, clock)
    outgoing = make_outgoing(sandbox, clock)
    encrypted = sandbox.exchanger.seen["exchanger encrypted"]
    visiting.read([mailbox.pk], outgoing)
    assert not works(mailbox, clock)
    assert send_due(5, outgoing) == [mailbox.pk]
    (mail,) = arrived(account)
    assert sandbox.exchanger.seen["exchanger encrypted"] > encrypted, "encrypted where the exchanger offers it"
    assert b"http" not in mail.raw and mailbox.workspace.name.encode() in mail.raw
    if folder == JUNK:
        account.folders[INBOX].clear()
        account.deliver(mail.raw, JUNK)
    visiting.read([mailbox.pk], make_outgoing(sandbox, clock))
    assert works(mailbox, clock) and confirmation(mailbox).confirmed_by == "arrived"
    assert not InMessage.objects.filter(mailbox=mailbox).exists(), "a used code is nobody's mail"
    assert confirmation(mailbox).code_hash == confirmation(mailbox).token == ""
    audit = AuditEntry.objects.get(mailbox=mailbox, action="address confirmed")
    assert code_in(mail.raw) not in audit.detail


def test_sec5_somebody_elses_address_on_own_servers_is_no_peer_and_never_sends(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = unconfirmed(sandbox, clock)
    account.is_at_exchanger = False
    victim = Person()
    sandbox.people[mailbox.address] = victim
    domain = mailbox.address.partition("@")[2]
    sandbox.zones[domain] = Zone(exchangers=("mx.elsewhere.test",))
    outgoing = make_outgoing(sandbox, clock)
    make_pool([mailbox], clock.now)
    assert Mailbox.objects.working().filter(pk=mailbox.pk).exists(), "its own servers accept all"
    assert send_due(5, outgoing) == [mailbox.pk]
    assert len(victim.received) == 1 and arrived(account) == []
    for _round in range(3):
        visiting.read([mailbox.pk], outgoing)
        clock.move(minutes=5)
    assert not works(mailbox, clock) and not PoolMember.objects.peers(clock.now).exists()
    assert not Mailbox.objects.can_warm(clock.now).exists()


def test_c10_a_code_for_another_mailbox_does_nothing(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = unconfirmed(sandbox, clock)
    other, others_account = unconfirmed(sandbox, clock)
    outgoing = make_outgoing(sandbox, clock)
    send_due(5, outgoing)
    raw = arrived(account)[0].raw
    others_account.folders[INBOX].clear()
    others_account.receive(raw)
    visiting.read([other.pk], outgoing)
    user = make_member(other.workspace)
    assert not works(other, clock)
    assert type_code(other, code_in(raw), acting_user=user, now=clock.now) is Typed.WRONG
    assert InMessage.objects.filter(mailbox=other).count() == 1, "it is mail as any other"
    assert not works(mailbox, clock)


@pytest.mark.parametrize("change", ["mark", "code", "late"])
def test_c10_a_forged_or_late_code_does_nothing(sandbox: Sandbox, clock: Clock, change: str) -> None:
    mailbox, account = unconfirmed(sandbox, clock)
    outgoing = make_outgoing(sandbox, clock)
    send_due(5, outgoing)
    raw = arrived(account)[0].raw
    account.folders[INBOX].clear()
    if change == "mark":
        token = confirmation(mailbox).token
        forged = marks.mark(token, mailbox.address)[:-3] + "AAA"
        raw = re.sub(rb"X-Postmend: [^\r]*(\r\n [^\r]*)*", f"X-Postmend: {forged}".encode(), raw)
    elif change == "code":
        raw = raw.replace(code_in(raw).encode(), b"0000-0000")
    else:
        clock.move(hours=25)
    account.receive(raw)
    visiting.read([mailbox.pk], make_outgoing(sandbox, clock))
    assert confirmation(mailbox).confirmed_at is None


def test_c10_a_forwarded_address_and_a_send_only_mailbox_confirm_by_typing(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = unconfirmed(sandbox, clock, wants_imap=False)
    account.is_at_exchanger = False
    elsewhere = Person()
    sandbox.people[mailbox.address] = elsewhere
    user = make_member(mailbox.workspace)
    assert type_code(mailbox, "0000-0000", acting_user=user, now=clock.now) is Typed.NONE
    send_due(5, make_outgoing(sandbox, clock))
    code = code_in(elsewhere.received[-1])
    assert not works(mailbox, clock)
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert type_code(mailbox, typed, acting_user=user, now=clock.now) is Typed.CONFIRMED
    assert works(mailbox, clock)
    assert type_code(mailbox, code, acting_user=user, now=clock.now) is Typed.NONE, "a code works once"


def test_c10_five_attempts_and_then_a_new_code(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = unconfirmed(sandbox, clock)
    send_due(5, make_outgoing(sandbox, clock))
    code, user = code_in(arrived(account)[-1].raw), make_member(mailbox.workspace)
    for _attempt in range(5):
        assert type_code(mailbox, "AAAA-AAAA", acting_user=user, now=clock.now) is Typed.WRONG
    assert type_code(mailbox, code, acting_user=user, now=clock.now) is Typed.TOO_MANY
    send_again(mailbox, acting_user=user, now=clock.now)
    send_due(5, make_outgoing(sandbox, clock))
    assert type_code(mailbox, code, acting_user=user, now=clock.now) is Typed.WRONG, "the one before has ended"
    code = code_in(arrived(account)[-1].raw)
    assert type_code(mailbox, code, acting_user=user, now=clock.now) is Typed.CONFIRMED


def test_c10_nobody_is_mailed_repeatedly(sandbox: Sandbox, clock: Clock) -> None:
    address, sent = "ceo@victim.test", 0
    for _workspace in range(8):
        mailbox = make_mailbox(address=address, confirmed=False)
        user = make_member(mailbox.workspace)
        start(mailbox, clock.now)
        for _again in range(3):
            try:
                send_again(mailbox, acting_user=user, now=clock.now)
            except Limited as limited:
                assert "try again" in limited.words(clock.now)
        sent += waiting(clock.now).filter(mailbox=mailbox).count()
    assert sent <= 5
    assert waiting(clock.now).count() == sent and AddressConfirmation.objects.filter(send_at__gt=clock.now).exists()


def test_c10_a_confirmation_outlives_reconnects_and_not_another_address(sandbox: Sandbox, clock: Clock) -> None:
    mailbox = work(make_mailbox(wants_imap=False), clock)
    start(mailbox, clock.now)
    assert works(mailbox, clock) and not waiting(clock.now).exists()
    Mailbox.objects.filter(pk=mailbox.pk).update(address="other@example.test")
    assert not works(mailbox, clock)
    Mailbox.objects.filter(pk=mailbox.pk).update(address=mailbox.address)
    assert works(mailbox, clock)


def test_c10_what_was_connected_before_works_for_two_weeks(clock: Clock) -> None:
    mailbox = work(make_mailbox(wants_imap=False, confirmed=False), clock)
    row = AddressConfirmation(mailbox=mailbox, address=mailbox.address, grace_until=clock.now + timedelta(days=14))
    row.save()
    assert works(mailbox, clock)
    clock.move(days=13, hours=23)
    assert works(mailbox, clock)
    clock.move(hours=2)
    assert not works(mailbox, clock)


@pytest.mark.parametrize(
    ("refusal", "is_over"), [("450 4.2.0 Greylisted, try later", False), ("550 5.1.1 No such user here", True)]
)
def test_c10_a_failing_send_is_visible_and_tried_again(
    sandbox: Sandbox, clock: Clock, refusal: str, *, is_over: bool
) -> None:
    mailbox, account = unconfirmed(sandbox, clock)
    sandbox.exchanger.refuses[mailbox.address] = refusal
    outgoing = make_outgoing(sandbox, clock)
    assert send_due(5, outgoing) == []
    assert confirmation(mailbox).send_error == refusal
    clock.move(minutes=6)
    del sandbox.exchanger.refuses[mailbox.address]
    assert waiting(clock.now).exists() is not is_over
    assert send_due(5, outgoing) == ([] if is_over else [mailbox.pk])
    assert len(arrived(account)) == (0 if is_over else 1)


def test_c10_a_null_mx_takes_no_mail_and_a_removed_mailbox_waits_for_none(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = unconfirmed(sandbox, clock)
    sandbox.zones[mailbox.address.partition("@")[2]] = Zone(exchangers=("",))
    removed, _account = unconfirmed(sandbox, clock)
    Mailbox.objects.filter(pk=removed.pk).update(removed_at=clock.now)
    assert send_due(5, make_outgoing(sandbox, clock)) == []
    assert "null MX" in confirmation(mailbox).send_error and arrived(account) == []
    assert not waiting(clock.now + timedelta(days=1)).exists()


def test_c10_an_operators_relay_takes_the_codes(
    mailoutbox: list[EmailMessage], sandbox: Sandbox, clock: Clock, settings: Any, support: User
) -> None:
    settings.CODE_MAIL = "relay"
    mailbox = make_mailbox(confirmed=False, workspace=None)
    start(mailbox, clock.now)
    assert send_due(5, make_outgoing(sandbox, clock)) == [mailbox.pk]
    (mail,) = mailoutbox
    assert mail.to == [mailbox.address] and "://" not in str(mail.body)
    code = code_in(str(mail.body).encode())
    assert type_code(mailbox, code, acting_user=support, now=clock.now) is Typed.CONFIRMED
