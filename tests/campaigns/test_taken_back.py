"""What comes back from the wire after somebody left, and other things that a review proved."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from campaigns.changes import pause, unsubscribe
from campaigns.choosing import choose
from campaigns.models import Lead, Step
from campaigns.taking import take
from mailboxes.models import OutMessage
from mailboxes.outbox import claim, settling, unknown
from mailboxes.wire.values import Stage
from mailboxes.wire.values import Step as WireStep
from tests.campaigns.desk import leads, ready, turn
from tests.make import START, make_workspace
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db


def on_wire(now: datetime) -> OutMessage:
    """The one message that waits is handed over to its server."""
    lease, [row] = claim.claim(10, now)
    claim.hand_over([row.pk], lease, now)
    return row


def put_off(row: OutMessage, now: datetime) -> None:
    step = WireStep(Stage.RCPT, False, 1, "450 4.2.0", "450 4.2.0 later")
    again = settling.Settled("queued", now, text=step.text)
    settling.write([(row, again)], now)


@pytest.mark.parametrize("leaves", ["unsubscribes", "is paused"])
def test_k5_k3_what_comes_back_from_the_wire_goes_out_no_more_where_it_was_taken_back(leaves: str) -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    run(campaign, START)
    choose(10, START)
    row = on_wire(START)
    if leaves == "unsubscribes":
        unsubscribe(Lead.objects.get(), START)
    else:
        pause(campaign, acting_user=None, now=START)
    put_off(row, START)
    take(START)
    assert OutMessage.objects.get().state == "cancelled"
    assert turn(START + timedelta(hours=1)) == 0
    assert Lead.objects.get().state == ("unsubscribed" if leaves == "unsubscribes" else "new")


def test_k4_an_unknown_message_of_somebody_who_left_is_not_sent_again() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(1), steps=1), START)
    choose(10, START)
    row = on_wire(START)
    settling.write([(row, settling.Settled("unknown"))], START)
    unsubscribe(Lead.objects.get(), START)
    unknown.missing([row.message_id], START + timedelta(hours=1))
    assert OutMessage.objects.get().state == "cancelled"


def test_k5_a_refusal_that_comes_late_leaves_who_unsubscribed_as_they_are() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(1), steps=1), START)
    choose(10, START)
    row = on_wire(START)
    unsubscribe(Lead.objects.get(), START)
    settling.write([(row, settling.Settled("refused", text="550 5.1.1 no"))], START)
    take(START)
    assert Lead.objects.get().state == "unsubscribed"


def test_k1_a_subject_that_its_fields_make_too_long_is_cut() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    Step.objects.filter(campaign=campaign).update(subject="{{ company }} {{ company }}")
    Lead.objects.update(fields={"company": "x" * 500})
    run(campaign, START)
    assert turn(START) == 1
    assert len(OutMessage.objects.get().subject) == 500


def test_k5_a_campaign_at_its_limit_does_not_keep_another_ones_conversations_waiting() -> None:
    workspace = make_workspace()
    [mailbox] = ready(workspace)
    small = make_campaign([mailbox], ["small@people.test"], daily_limit=2)
    large = make_campaign([mailbox], ["large@people.test"])
    for one in (small, large):
        run(one, START)
    turn(START)
    turn(START + timedelta(minutes=3))
    Lead.objects.update(due_at=START)
    assert turn(START + timedelta(minutes=6)) == 1
    assert OutMessage.objects.order_by("-id")[0].recipient == "large@people.test"
