"""A budget of refused logins for each mail host, over all customers and workers (SPEC X6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mailboxes.health.budget import HostAccount, budget_key, unpack_account
from mailboxes.health.due import check_due
from mailboxes.health.host_budget import admit
from mailboxes.health.record import record
from mailboxes.health.targets import load
from mailboxes.inbox.visiting import read_due
from mailboxes.models import HostBudget, Mailbox
from mailboxes.outbox import queue
from mailboxes.outbox.sending import send_due
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg
from tests.make import (
    REFUSED,
    START,
    TENANT_OFF,
    Clock,
    evidence,
    make_mailbox,
    make_outgoing,
    make_sandbox_mailbox,
    secret,
)

MINUTE = timedelta(minutes=1)


def test_x6_three_refusals_in_ten_minutes_are_all_that_a_host_sees() -> None:
    account = HostAccount()
    for number in range(3):
        assert account.take(number, 1, 3, START)
        account.settle(number, 1, START)
    assert not account.take(4, 1, 3, START + 9 * MINUTE)
    assert account.take(4, 1, 3, START + 11 * MINUTE)


def test_x6_a_login_under_way_takes_a_place_until_it_is_known_and_a_pass_gives_it_back() -> None:
    account = HostAccount()
    assert account.take(1, 2, 3, START)
    assert not account.take(2, 2, 3, START)
    account.settle(1, 0, START)
    assert account.take(2, 2, 3, START)


def test_x6_a_worker_that_died_gives_its_places_back() -> None:
    account = HostAccount()
    assert account.take(1, 3, 3, START)
    assert account.room(3, START + 4 * MINUTE) == 3


def test_x6_an_account_survives_its_columns() -> None:
    account = HostAccount([START], {7: (2, START + MINUTE)})
    packed = account.packed()
    assert unpack_account(packed["refused"], packed["taken"]) == account  # type: ignore[arg-type]  # as JSON gives it


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("smtp.example.com", "example.com"),
        ("IMAP.Example.com.", "example.com"),
        ("example.com", "example.com"),
        ("mail.eu.example.com", "eu.example.com"),
    ],
)
def test_x6_the_legs_of_one_machine_share_a_budget(host: str, key: str) -> None:
    assert budget_key(host) == key


@pytest.mark.django_db
def test_x6_refusals_of_every_source_count_and_probes_of_a_tenant_do_not() -> None:
    boxes = [make_mailbox() for _ in range(3)]
    record([evidence(boxes[0], Leg.SMTP, REFUSED), evidence(boxes[1], Leg.SMTP, TENANT_OFF)], now=START)
    assert len(HostBudget.objects.get(host="example.test").refused) == 1


@pytest.mark.django_db
def test_x6_where_the_budget_is_spent_a_check_waits_and_a_known_provider_goes_on() -> None:
    boxes = [make_mailbox() for _ in range(4)]
    known = make_mailbox(provider="gmail")
    record([evidence(one, Leg.SMTP, REFUSED) for one in boxes[:3]], now=START)
    subjects = load([boxes[3].pk, known.pk], START)
    assert [one.mailbox_id for one in admit(subjects, START + MINUTE)] == [known.pk]
    assert len(admit(subjects, START + 11 * MINUTE)) == 2


@pytest.mark.django_db
def test_x6_a_host_that_bans_after_five_refusals_in_ten_minutes_never_bans_us(sandbox: Sandbox, clock: Clock) -> None:
    """Eight passwords change at once at one host; the worker looks every five seconds for two hours."""
    made = eight_at_one_host(sandbox, clock)
    outgoing = make_outgoing(sandbox, clock)
    for _mailbox, account in made:
        account.password = secret()
    before = logins(made)
    most = 0
    for _round in range(48):
        clock.move(minutes=2.5)
        began = logins(made)
        check_due(50, outgoing)
        most = max(most, logins(made) - began)
    assert logins(made) - before >= 8 and most <= 3
    assert len(HostBudget.objects.get().refused) <= 3
    assert Mailbox.objects.needing_reconnect().exists()


@pytest.mark.django_db
def test_x6_reads_and_sends_keep_to_the_budget_and_a_healthy_host_holds_up_nobody(
    sandbox: Sandbox, clock: Clock
) -> None:
    made = eight_at_one_host(sandbox, clock)
    outgoing = make_outgoing(sandbox, clock)
    clock.move(minutes=16)
    before = logins(made)
    assert (read_due(50, outgoing), logins(made) - before) == (8, 8)
    for mailbox, account in made:
        account.password = secret()
        queue.put([queue.Draft(mailbox, "campaign", "lead@example.net", "s", "b", clock.now)], clock.now)
    clock.move(minutes=16)
    before = logins(made)
    send_due(50, outgoing)
    read_due(50, outgoing)
    check_due(50, outgoing)
    assert 1 <= logins(made) - before <= 3


def eight_at_one_host(sandbox: Sandbox, clock: Clock) -> list[tuple[Mailbox, Account]]:
    """Connected; their servers have other names, and are one machine for all that we know."""
    made = [make_sandbox_mailbox(sandbox, machine="one-machine.test") for _ in range(8)]
    for _round in range(8):
        check_due(50, make_outgoing(sandbox, clock))
        clock.move(minutes=4)
    assert Mailbox.objects.working().count() == 8
    return made


def logins(made: list[tuple[Mailbox, Account]]) -> int:
    return sum(account.seen["smtp logins"] + account.seen["imap logins"] for _mailbox, account in made)
