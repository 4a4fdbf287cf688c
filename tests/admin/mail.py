"""Rows of mail for the admin's pages: messages in and out, leads, exchanges; and whom the pages refuse."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign, Lead, LeadMessage
from mailboxes.models import InMessage, Mailbox, OutMessage
from tests.admin.test_mailbox_admin import working
from tests.make import caught_up
from tests.post import make_campaign, make_pool
from warmup.models import Exchange, PoolMember

INBOX, OUTBOX = "/admin/mailboxes/inmessage/", "/admin/mailboxes/outmessage/"
CAMPAIGNS, LEADS, SUPPRESSIONS = (f"/admin/campaigns/{name}/" for name in ("campaign", "lead", "suppression"))
POOLS, MEMBERS, EXCHANGES = (f"/admin/warmup/{name}/" for name in ("pool", "poolmember", "exchange"))
LISTS = (INBOX, OUTBOX, CAMPAIGNS, LEADS, SUPPRESSIONS, POOLS, MEMBERS, EXCHANGES)
_numbers = itertools.count(1)


def at_work(**values: Any) -> Mailbox:
    """Connected, read a moment ago: it can send and warm."""
    mailbox = working(**values)
    caught_up(mailbox, timezone.now())
    return mailbox


def sent_out(mailbox: Mailbox, state: str = "sent", **values: Any) -> OutMessage:
    number, now = next(_numbers), timezone.now()
    defaults: dict[str, Any] = {
        "purpose": "campaign", "recipient": f"person{number}@leads.test", "subject": f"About number {number}",
        "body": "Hello,\n\na question.\n", "message_id": f"<out{number}@example.test>", "thread": f"<out{number}@x>",
        "on_wire_at": now if state in ("sent", "unknown") else None, "sent_at": now if state == "sent" else None,
    }  # fmt: skip
    return OutMessage.objects.create(mailbox=mailbox, state=state, **defaults | values)


def arrive(mailbox: Mailbox, **values: Any) -> InMessage:
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "identity": f"identity{number}", "kind": "message", "role": "inbox", "uid": number,
        "message_id": f"<in{number}@leads.test>", "thread": f"<in{number}@leads.test>",
        "from_address": f"person{number}@leads.test", "from_name": f"Person {number}", "subject": f"Number {number}",
        "text": "Yes, tell me more.", "arrived_at": timezone.now(),
    }  # fmt: skip
    return InMessage.objects.create(mailbox=mailbox, **defaults | values)


def campaign_with_lead(mailbox: Mailbox, state: str = "running", **values: Any) -> tuple[Campaign, Lead]:
    """A campaign whose one lead was written to by this mailbox."""
    campaign = make_campaign([mailbox], [f"lead{next(_numbers)}@leads.test"], state=state, **values)
    lead = campaign.leads.get()
    message = sent_out(mailbox, recipient=lead.email)
    LeadMessage.objects.create(lead=lead, step=1, out=message, settled=True)
    Lead.objects.filter(pk=lead.pk).update(state="active", home=mailbox, step=1, due_at=timezone.now())
    return campaign, Lead.objects.get(pk=lead.pk)


def exchanged(sender: PoolMember, receiver: PoolMember, placement: str = "inbox", **values: Any) -> Exchange:
    out = sent_out(sender.mailbox, purpose="warmup", recipient=receiver.mailbox.address)
    return Exchange.objects.create(out=out, sender=sender, receiver=receiver, placement=placement, **values)


def some(amount: int) -> None:
    """So many rows in each of the lists, each of a mailbox, campaign and pool of its own."""
    for _number in range(amount):
        mailbox = at_work()
        arrive(mailbox)
        campaign, _lead = campaign_with_lead(mailbox)
        campaign.workspace.suppressions.create(email=f"never{next(_numbers)}@leads.test")
        pool = make_pool([mailbox, at_work()], timezone.now() + timedelta(hours=1))
        first, second = pool.members.order_by("id")
        exchanged(first, second)


def client_with(*permissions: str) -> Client:
    """A member of staff with these permissions alone, signed in."""
    user = User.objects.create_user(f"staff{next(_numbers)}", password="signs-in-with-this", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def pages(rows: Sequence[Any]) -> list[str]:
    return [f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/" for row in rows]
