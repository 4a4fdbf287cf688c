"""Many workers refresh one grant at once, at a provider that ends a grant whose token is used twice (SPEC H11)."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from mailboxes.health import tokens
from mailboxes.health.due import check_mailboxes
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.targets import load
from mailboxes.models import Credential, Mailbox
from mailboxes.reconnect.credentials import NewGrant, replace
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.make import START, Clock, make_oauth_client, make_outgoing, make_sandbox_mailbox, secret

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 20


def granted(sandbox: Sandbox, rotation: str) -> tuple[Mailbox, Account]:
    """A mailbox whose access token is missing, so that each check begins with a refresh."""
    mailbox, account = make_sandbox_mailbox(sandbox)
    account.rotation = rotation
    grant = NewGrant(make_oauth_client(sandbox), account.refresh_token, "mail")
    replace(mailbox, grant, acting_user=None, now=START)
    return mailbox, account


def refresh_once(mailbox_id: int, outgoing: Outgoing, together: threading.Barrier) -> bool:
    """One worker: reads the grant with all the others, then takes the lease or leaves it. True for a refresh."""
    try:
        subjects = load([mailbox_id], outgoing.clock())
        together.wait(timeout=30)
        lease = tokens.Lease(outgoing)
        mine = lease.take(subjects)
        for subject in mine:
            assert lease.give_back(subject, asyncio.run(lease.refresh(subject)))
        return bool(mine)
    finally:
        connections.close_all()


def test_h11_twenty_workers_refresh_once_and_the_grant_lives(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = granted(sandbox, "strict")
    outgoing, together = make_outgoing(sandbox, clock), threading.Barrier(WORKERS)
    with ThreadPoolExecutor(WORKERS) as pool:
        done = list(pool.map(lambda _: refresh_once(mailbox.pk, outgoing, together), range(WORKERS)))
    assert (sum(done), account.seen["refreshes"]) == (1, 1)
    stored = Credential.objects.get(mailbox=mailbox)
    assert stored.refresh_token == account.refresh_token, "the rotated token is the stored one"
    assert stored.access_token in account.access_tokens
    check_mailboxes([mailbox.pk], Source.CHECK, outgoing)
    assert Mailbox.objects.get(pk=mailbox.pk).status == "connected"


def test_h11_a_token_used_twice_ends_the_grant_so_the_lease_matters(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = granted(sandbox, "strict")
    outgoing = make_outgoing(sandbox, clock)
    (subject,) = load([mailbox.pk], clock())
    lease = tokens.Lease(outgoing)
    assert asyncio.run(lease.refresh(subject)).tokens is not None
    assert asyncio.run(lease.refresh(subject)).tokens is None
    assert not account.takes_refresh(account.refresh_token) or not account.access_tokens


def test_h11_a_grant_replaced_while_it_is_refreshed_is_not_overwritten(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _ = granted(sandbox, "new")
    lease = tokens.Lease(make_outgoing(sandbox, clock))
    (subject,) = lease.take(load([mailbox.pk], clock()))
    attempt = asyncio.run(lease.refresh(subject))
    fresh = secret()
    replace(mailbox, NewGrant(make_oauth_client(sandbox), fresh, "mail"), acting_user=None, now=clock())
    assert not lease.give_back(subject, attempt)
    assert Credential.objects.get(mailbox=mailbox).refresh_token == fresh


def test_h11_an_outage_of_the_provider_is_no_revoked_grant(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = granted(sandbox, "")
    client = make_oauth_client(sandbox)
    client.token_url = client.token_url.replace(str(sandbox.token_port), "1")
    client.give_secret(client.client_secret or "")
    client.save()
    replace(mailbox, NewGrant(client, account.refresh_token, "mail"), acting_user=None, now=START)
    for _time in range(2):  # H5: once says nothing
        check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
        clock.move(minutes=1)
    assert Mailbox.objects.get(pk=mailbox.pk).status == "suspect"
