"""Mailboxes and leads for tests of campaigns: the database, and no network."""

from __future__ import annotations

from datetime import datetime, timedelta

from campaigns.choosing import choose
from campaigns.taking import take
from mailboxes.health.record import record
from mailboxes.models import InboxState, Mailbox, Workspace
from mailboxes.outbox import claim, settling
from mailboxes.wire.letters import Delivery, Fate
from mailboxes.wire.values import Leg, Report, Stage
from mailboxes.wire.values import Step as WireStep
from tests.make import START, caught_up, evidence, make_mailbox

DAY = timedelta(days=1)
SENT = Delivery(Fate.SENT, Report(Leg.SMTP, (WireStep(Stage.DATA, True, 1),)))


def ready(workspace: Workspace, amount: int = 1) -> list[Mailbox]:
    """Connected mailboxes, all read."""
    made = [make_mailbox(workspace=workspace) for _number in range(amount)]
    record([evidence(one, leg) for one in made for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    for one in made:
        caught_up(one)
    return made


def leads(amount: int) -> list[str]:
    return [f"lead{number}@people.test" for number in range(amount)]


def deliver(now: datetime) -> int:
    """What is queued is sent, without a server."""
    InboxState.objects.update(complete_at=now)
    lease, rows = claim.claim(1000, now)
    claim.hand_over([row.pk for row in rows], lease, now)
    settling.write([(row, settling.settle(row, SENT, None, now)) for row in rows], now)
    take(now)
    return len(rows)


def turn(now: datetime) -> int:
    InboxState.objects.update(complete_at=now)
    choose(1000, now)
    return deliver(now)
