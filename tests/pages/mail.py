"""What the tests of the mail pages share: mailboxes that work, letters, campaigns and pools, without any server."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Campaign, Lead, LeadMessage, Step
from mailboxes.health.record import record
from mailboxes.models import InboxState, InMessage, Mailbox, OutMessage, Workspace
from mailboxes.outbox import queue
from mailboxes.wire.values import Leg
from tests.make import evidence, make_mailbox, make_workspace, refuse
from warmup.models import Exchange, Pool, PoolMember

_numbers = itertools.count(1)


def working(workspace: Workspace | None = None, **values: Any) -> Mailbox:
    """A mailbox that is connected and has been read: it can send."""
    mailbox, now = make_mailbox(workspace=workspace, **values), timezone.now()
    record([evidence(mailbox, Leg.SMTP, at=now), evidence(mailbox, Leg.IMAP, at=now)], now=now)
    InboxState.objects.filter(mailbox=mailbox).update(complete_at=now + timedelta(seconds=1))
    return Mailbox.objects.get(pk=mailbox.pk)


def break_down(mailbox: Mailbox) -> Mailbox:
    """Its password is refused."""
    now = timezone.now() + timedelta(seconds=1)
    refuse(mailbox, at=now)
    return Mailbox.objects.get(pk=mailbox.pk)


def letter(mailbox: Mailbox, **values: Any) -> InMessage:
    """Something that arrived."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "identity": f"identity{number}", "kind": "message", "role": "inbox", "uid": number,
        "message_id": f"<in{number}@leads.test>", "thread": f"<in{number}@leads.test>",
        "from_address": f"person{number}@leads.test", "from_name": f"Person {number}", "subject": f"Subject {number}",
        "text": f"Text {number}.", "arrived_at": timezone.now(),
    }  # fmt: skip
    return InMessage.objects.create(mailbox=mailbox, **defaults | values)


def written(
    mailbox: Mailbox, recipient: str = "lead@leads.test", purpose: str = "campaign", **values: Any
) -> OutMessage:
    """Something of ours, sent unless said otherwise."""
    now = timezone.now()
    draft = queue.Draft(mailbox, purpose, recipient, "About your work", "Hello there.\n", now)
    [row] = queue.put([draft], now)
    OutMessage.objects.filter(pk=row.pk).update(**{"state": "sent", "sent_at": now, "on_wire_at": now} | values)
    return OutMessage.objects.get(pk=row.pk)


def campaign_of(workspace: Workspace, *mailboxes: Mailbox, leads: int = 0, **values: Any) -> Campaign:
    """A draft with two steps."""
    name = f"Campaign {next(_numbers):04}"
    campaign = Campaign.objects.create(workspace=workspace, **{"name": name} | values)
    campaign.mailboxes.set(mailboxes)
    Step.objects.create(campaign=campaign, number=1, subject="About {{ company|your work }}", body="Hello.")
    Step.objects.create(campaign=campaign, number=2, wait_days=3, body="Did you see this?")
    homes = [*mailboxes, None]
    for place in range(1, leads + 1):
        home = homes[place % len(homes)]
        stands: dict[str, Any] = {"state": "active", "home": home, "step": 1} if home else {}
        Lead.objects.create(campaign=campaign, email=f"lead{place}@leads.test", place=place, **stands)
    return campaign


def sent_step(campaign: Campaign, mailbox: Mailbox, number: int, **values: Any) -> Lead:
    """A lead who was sent this step, by default."""
    place = 1000 + next(_numbers)
    lead = Lead.objects.create(
        campaign=campaign, email=f"lead{place}@leads.test", place=place, state="active", home=mailbox, step=number
    )
    LeadMessage.objects.create(lead=lead, step=number, out=written(mailbox, lead.email, **values))
    return lead


def member_of(pool: Pool, mailbox: Mailbox) -> PoolMember:
    return PoolMember.objects.create(pool=pool, mailbox=mailbox)


def exchanged(sender: PoolMember, receiver: PoolMember, placement: str = "inbox", **values: Any) -> Exchange:
    out = written(sender.mailbox, receiver.mailbox.address, "warmup", peer=receiver.mailbox)
    found: dict[str, Any] = {}
    if placement:
        found = {"found": letter(receiver.mailbox, kind="warmup", role=placement), "found_at": timezone.now()}
    return Exchange.objects.create(
        out=out, sender=sender, receiver=receiver, placement=placement, **{"settled": True} | found | values
    )


def pool_of(*mailboxes: Mailbox, name: str = "") -> Pool:
    pool = Pool.objects.create(name=name or f"Pool {next(_numbers)}")
    for mailbox in mailboxes:
        member_of(pool, mailbox)
    return pool


def cost(client: Client, place: str) -> int:
    """How many queries a page takes, once it has been looked at."""
    client.get(place)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(place).status_code == 200
    return len(queries)


def full_workspace(rows: int = 60) -> dict[str, Any]:
    """A workspace with everything that the pages show."""
    workspace = make_workspace()
    anna = working(workspace, address="anna@a-rather-long-domain-of-a-customer.example.test")
    ben = working(workspace, address=f"ben{next(_numbers)}@northwind.test")
    out = written(anna, "kim@leads.test")
    first = letter(
        anna, thread=out.thread, from_address="kim@leads.test", from_name="Kim", answers=out, seen=True,
        subject="Re: About your work, and quite a lot of further words that make this subject long indeed",
        text="Yes, gladly.\n\nWhen?\n\n> Hello there.\n" + "a-word-without-a-break-" * 12,
    )  # fmt: skip
    letter(ben, kind="bounce", subject="Undelivered", from_address="mailer-daemon@leads.test", from_name="")
    letter(ben, kind="complaint", subject="Abuse report", from_address="reports@provider.test", from_name="")
    letter(anna, from_address="noreply@crm.test", reply_to="kim@leads.test", subject="Kim wrote by a form")
    letter(ben, kind="auto_reply", role="junk", subject="Out of office", seen=True)
    for _number in range(rows):
        letter(ben)
    campaign = campaign_of(
        workspace, anna, ben, leads=rows, name="A campaign with rather a long name " * 3, track_opens=True
    )
    sent_step(campaign, anna, 1)
    Campaign.objects.filter(pk=campaign.pk).update(state="running")
    undeliverable = campaign.leads.order_by("-place")[:1].values("pk")
    Lead.objects.filter(pk__in=undeliverable).update(
        state="held", due_at=None, home=ben, step=1, note="550 5.1.1 <lead@people.test>: Recipient address rejected"
    )
    other = working(make_workspace())
    pool = pool_of(anna, ben, other, name="Everybody")
    mine, _bens, theirs = pool.members.order_by("pk")
    for placement in ("inbox", "inbox", "junk", ""):
        exchanged(mine, theirs, placement)
    exchanged(theirs, mine, answered=True)
    spare = working(workspace)
    return {
        "workspace": workspace, "anna": anna, "ben": ben, "spare": spare, "message": first, "campaign": campaign,
        "pool": pool, "member": mine,
    }  # fmt: skip
