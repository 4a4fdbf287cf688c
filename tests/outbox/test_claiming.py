"""What two workers do to one mailbox and one message at once (K4, E12): mutants that no other test killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from mailboxes.health.decide import ONE_SIDED
from mailboxes.health.record import record
from mailboxes.models import Failure, InboxState, Mailbox, OutMessage
from mailboxes.outbox import claim, queue, settling
from mailboxes.wire.letters import Delivery, Fate
from mailboxes.wire.values import Leg, Report, Stage, Step
from tests.make import REFUSED, START, caught_up, evidence, make_mailbox

pytestmark = pytest.mark.django_db
SENT = Delivery(Fate.SENT, Report(Leg.SMTP, (Step(Stage.DATA, True, 1),)))
LATER = START + timedelta(minutes=4)


@pytest.fixture
def mailbox() -> Mailbox:
    made = make_mailbox()
    record([evidence(made, leg) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    caught_up(made)
    return Mailbox.objects.get(pk=made.pk)


def put(mailbox: Mailbox, recipient: str) -> OutMessage:
    [row] = queue.put([queue.Draft(mailbox, "campaign", recipient, "s", "b", START)], START)
    return row


def test_k4_one_message_of_a_mailbox_is_claimed_where_another_worker_came_before_the_lock(mailbox: Mailbox) -> None:
    """The other worker claims between our look and our lock; with its claim it held the pace that we waited for."""
    first, second = put(mailbox, "a@b.test"), put(mailbox, "c@d.test")
    others: list[int] = []

    def claim_first(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not others and sql.startswith("SELECT") and 'FROM "mailboxes_pace"' in sql:
            others.append(second.pk)
            OutMessage.objects.filter(pk=second.pk).update(state="claimed", lease="other", lease_until=LATER)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(claim_first):
        _lease, rows = claim.claim(10, START)
    assert others == [second.pk]
    assert (rows, OutMessage.objects.get(pk=first.pk).state) == ([], "queued")


@pytest.mark.parametrize("end", [settling.Settled("queued"), settling.Settled("refused"), settling.Settled("sent")])
def test_k4_a_late_sender_overwrites_nothing_that_another_one_settled(mailbox: Mailbox, end: settling.Settled) -> None:
    row = put(mailbox, "a@b.test")
    lease, [late] = claim.claim(10, START)
    claim.hand_over([row.pk], lease, START)
    claim.recover(LATER)
    assert OutMessage.objects.get(pk=row.pk).state == "unknown"
    settling.write([(late, end)], LATER)
    assert OutMessage.objects.get(pk=row.pk).state == "unknown"


def test_k4_a_late_sender_leaves_the_claim_of_the_next_one(mailbox: Mailbox) -> None:
    row = put(mailbox, "a@b.test")
    _lease, [late] = claim.claim(10, START)
    claim.recover(LATER)
    InboxState.objects.update(complete_at=LATER)
    lease, [next_one] = claim.claim(10, LATER)
    settling.write([(late, settling.settle(late, SENT, None, LATER))], LATER)
    found = OutMessage.objects.get(pk=row.pk)
    assert (found.state, found.lease, next_one.pk) == ("claimed", lease, row.pk)


@pytest.mark.parametrize("same", [True, False])
def test_x3_only_an_imap_login_of_the_same_check_clears_a_password(mailbox: Mailbox, same: bool) -> None:
    begun = START + timedelta(minutes=1)
    at = begun + timedelta(seconds=2)
    imap = evidence(mailbox, Leg.IMAP, at=at, begun=begun if same else begun - timedelta(seconds=30))
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=at, begun=begun), imap], now=at)
    assert (Failure.objects.get(leg="smtp").rule == ONE_SIDED[Leg.SMTP]) is same
