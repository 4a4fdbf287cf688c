"""Mailboxes and leads for tests of campaigns: the database, and no network."""

from __future__ import annotations

from datetime import datetime, timedelta

from campaigns.choosing import choose
from campaigns.models import Lead
from campaigns.taking import take
from mailboxes.health.record import record
from mailboxes.models import InboxState, InMessage, Mailbox, OutMessage, Workspace
from mailboxes.outbox import claim, settling
from mailboxes.wire.letters import Delivery, Fate
from mailboxes.wire.values import Leg, Report, Stage
from mailboxes.wire.values import Step as WireStep
from tests.make import START, caught_up, evidence, make_mailbox

DAY = timedelta(days=1)
FAILED = {"kind": "bounce", "bounce_outcome": "failed", "bounce_status": "5.1.1", "bounce_text": "550 no such user"}
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


def arrive(lead: Lead, now: datetime, *, proved: bool, **values: str) -> None:
    """A bounce of the lead's last message, as the reader stores it."""
    out = OutMessage.objects.filter(lead_message__lead=lead).latest("id")
    InMessage.objects.create(
        mailbox=out.mailbox, identity=f"{InMessage.objects.count()}", role="inbox", uid=1, thread="t", arrived_at=now,
        answers=out, waits_for="campaign", proved=proved, **(FAILED | values),
    )  # fmt: skip


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
