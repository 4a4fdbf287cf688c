"""Mailboxes at work in tests: connected ones on real accounts of the sandbox, campaigns, pools, and the rounds of the
worker run by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from campaigns.changes import start
from campaigns.models import Campaign, Lead, Step
from mailboxes.health.due import check_mailboxes
from mailboxes.health.outgoing import Outgoing
from mailboxes.inbox import plugs
from mailboxes.inbox.rounds import send_round
from mailboxes.inbox.visiting import read_due
from mailboxes.models import InboxState, Mailbox, Workspace
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.post_office import Person
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.make import Clock, make_sandbox_mailbox, make_workspace
from warmup.models import Pool, PoolMember

MANY = 500


def make_workers(sandbox: Sandbox, amount: int, workspace: Workspace | None = None) -> list[tuple[Mailbox, Account]]:
    """Mailboxes with accounts; not checked yet."""
    place = workspace or make_workspace()
    return [make_sandbox_mailbox(sandbox, workspace=place) for _number in range(amount)]


def connect(mailboxes: Sequence[Mailbox], outgoing: Outgoing) -> None:
    """Check them, and read them: they can send from now on."""
    check_mailboxes([mailbox.pk for mailbox in mailboxes], Source.CHECK, outgoing)
    read(outgoing)


def read(outgoing: Outgoing) -> None:
    """Read everything that can be read, now."""
    InboxState.objects.filter(mailbox__in=Mailbox.objects.can_read()).update(next_read_at=outgoing.clock())
    while read_due(MANY, outgoing):
        if not InboxState.objects.filter(next_read_at__lte=outgoing.clock()).exists():
            break
    plugs.take(outgoing.clock())


def work(outgoing: Outgoing) -> int:
    """One round: take note, choose, send, take note. Returns how many messages were claimed."""
    return send_round(MANY, outgoing)


def rounds(outgoing: Outgoing, clock: Clock, amount: int, **every: float) -> int:
    """So many rounds with the clock moved on, and the inboxes read, between them."""
    total = 0
    for _round in range(amount):
        total += work(outgoing)
        clock.move(**every)
        read(outgoing)
    return total


def make_campaign(mailboxes: Sequence[Mailbox], leads: Sequence[str], steps: int = 2, **values: Any) -> Campaign:
    """A running campaign at all hours, with a message a minute."""
    values = {
        "name": f"Campaign {Campaign.objects.count() + 1}", "window_from": time(0), "window_to": time(0),
        "on_weekends": True, "spacing_minutes": 1, "daily_limit": 1000,
    } | values  # fmt: skip
    campaign = Campaign.objects.create(workspace=mailboxes[0].workspace, **values)
    campaign.mailboxes.set(mailboxes)
    for number in range(1, steps + 1):
        subject = "About {{ company|your work }}" if number == 1 else ""
        Step.objects.create(campaign=campaign, number=number, wait_days=1, subject=subject, body=f"Step {number}.")
    Lead.objects.bulk_create(
        [Lead(campaign=campaign, email=email, place=place, due_at=None) for place, email in enumerate(leads, 1)]
    )
    return campaign


def run(campaign: Campaign, now: datetime) -> None:
    """Its leads are due, and it runs."""
    campaign.leads.update(due_at=now)
    start(campaign, acting_user=None, now=now)


def make_people(sandbox: Sandbox, amount: int, manner: str = "silent") -> list[str]:
    """Addresses of people outside."""
    known = len(sandbox.people)
    addresses = [f"person{known + number}@leads.test" for number in range(amount)]
    sandbox.people.update({address: Person(manner) for address in addresses})
    return addresses


def make_pool(mailboxes: Sequence[Mailbox], now: datetime, **values: Any) -> Pool:
    """A pool with these members, all due now."""
    pool = Pool.objects.create(**{"name": f"Pool {Pool.objects.count() + 1}"} | values)
    PoolMember.objects.bulk_create([PoolMember(pool=pool, mailbox=one, next_at=now) for one in mailboxes])
    return pool


def arrived(sandbox: Sandbox, recipients: Sequence[str]) -> Counter[str]:
    """How often each Message-ID was taken for these recipients, as the receiving servers counted."""
    wanted = set(recipients)
    return Counter(one.message_id for one in sandbox.post_office.arrived if one.recipient in wanted)
