"""Who gets which answer at every address (SEC-4, S8, A7): the table is literal, and a new address is added to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign, Lead
from mailboxes.groups import add_groups
from mailboxes.members import invite
from mailboxes.models import AuditEntry, Membership, StaffAlarm
from tests.make import make_mailbox, make_member, make_workspace
from tests.rights.walk import PART, ROUTES
from warmup.models import Pool, PoolMember

pytestmark = pytest.mark.django_db
WHO = ("Support", "Support lead", "stranger", "nobody")
MISSING = 999_999


def read_table() -> dict[str, str]:
    """Of each address the answers to GET and to POST, as `answers.txt` groups them."""
    table, answers = {}, ""
    for line in (Path(__file__).parent / "answers.txt").read_text().splitlines():
        if line.startswith("    "):
            table[line.strip()] = answers
        elif not line.startswith("#"):
            answers = line
    return table


TABLE = read_table()


def client_of(user: User | None) -> Client:
    client = Client(raise_request_exception=False)
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def clients() -> dict[str, Client]:
    """Two members of staff, a customer of another workspace who owns it, and nobody."""
    add_groups(apps, connection.alias)
    found = {"stranger": client_of(make_member(make_workspace(), "owner")), "nobody": client_of(None)}
    for name in ("Support", "Support lead"):
        user = User.objects.create_user(name, is_staff=True)
        user.groups.add(Group.objects.get(name=name))
        found[name] = client_of(user)
    return found


@pytest.fixture
def ids(clients: dict[str, Client]) -> dict[str, Any]:
    """A customer's row of each kind that an address can name."""
    mailbox = make_mailbox()
    owner = make_member(mailbox.workspace, "owner")
    campaign = Campaign.objects.create(workspace=mailbox.workspace, name="Autumn", state="running")
    lead = Lead.objects.create(campaign=campaign, email="a@leads.test", place=1)
    member = PoolMember.objects.create(pool=Pool.objects.create(name="Ours"), mailbox=mailbox)
    invitation, token = invite(mailbox.workspace, "new@a.test", role="member", acting_user=owner, now=timezone.now())
    return {
        "/mailboxes/": mailbox.pk, "/campaigns/": campaign.pk, "lead": lead.pk, "/warm-up/": member.pk,
        "/admin/mailboxes/mailbox/": mailbox.pk, "/admin/mailboxes/workspace/": mailbox.workspace_id,
        "/admin/campaigns/campaign/": campaign.pk, "/admin/campaigns/lead/": lead.pk,
        "/admin/warmup/pool/": member.pool_id, "/admin/warmup/poolmember/": member.pk,
        "/admin/mailboxes/auditentry/": AuditEntry.objects.order_by("pk")[0].pk,
        "/admin/mailboxes/staffalarm/": StaffAlarm.objects.create(kind="no_worker", key="one", text="x").pk,
        "/members/": Membership.objects.get(user=owner).pk, "/members/invitations/": invitation.pk,
        "/invitation/": token, "/admin/auth/user/": owner.pk, "/admin/auth/group/": Group.objects.order_by("pk")[0].pk,
    }  # fmt: skip


def test_s8_every_address_is_in_the_table() -> None:
    assert sorted(TABLE) == ROUTES


def test_s8_everybody_gets_the_answer_of_the_table(clients: dict[str, Client], ids: dict[str, Any]) -> None:
    found = {route: answers(route, clients, ids) for route in ROUTES}
    assert {route: (got, TABLE.get(route)) for route, got in found.items() if got != TABLE.get(route)} == {}


def answers(route: str, clients: dict[str, Client], ids: dict[str, Any]) -> str:
    path = filled(route, ids)
    return " | ".join(" ".join(answer(clients[who], method, path) for who in WHO) for method in ("get", "post"))


def filled(route: str, ids: dict[str, Any]) -> str:
    before = route[: route.index("<")] if "<" in route else ""
    known = {"lead": ids["lead"], "provider": "google", "category": "timeout", "app_label": "mailboxes"}
    return PART.sub(lambda part: str(known.get(part[1], ids.get(before, MISSING))), route)


def answer(client: Client, method: str, path: str) -> str:
    """The status; "in" where one is sent to sign in. Nothing that it did stays."""
    cookies = dict(client.cookies)
    with transaction.atomic():
        got = getattr(client, method)(path)
        transaction.set_rollback(True)
    client.cookies.clear()
    client.cookies.update(cookies)
    to = got.headers.get("Location", "")
    return "in" if to.startswith(("/sign-in/", "/admin/login/")) else str(got.status_code)
