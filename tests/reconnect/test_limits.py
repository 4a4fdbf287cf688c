"""Tests are limited for who could do harm, never by what others do, and the limit is told (SPEC S4; FACTS D14)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from mailboxes.limits import Limited, Window
from mailboxes.models import Candidate, Membership, OAuthClient, Trial, Workspace
from mailboxes.reconnect import trials
from mailboxes.reconnect.credentials import NewGrant, Password
from mailboxes.reconnect.limits import (
    PER_CONSENT,
    PER_HOST,
    PER_MAILBOX,
    PER_NETWORK,
    PER_USER,
    PER_WORKSPACE,
)
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.states import Verdict
from tests.make import START, Clock, make_member, make_workspace, secret

pytestmark = pytest.mark.django_db
THREADS = 24


def place(host: str) -> dict[str, Any]:
    return {"wants_smtp": True, "smtp_host": f"smtp.{host}", "wants_imap": True, "imap_host": f"imap.{host}"}


def wish(workspace: Workspace, number: int, **same: str) -> Wish:
    """The test number so-and-so: all differs from the one before, but what is the same."""
    return Wish(
        workspace,
        same.get("address", f"box{number}@example.test"),
        place(same.get("host", f"host{number}.test")),
        Password(secret()),
        source_ip=same.get("source", f"203.0.{number // 250}.{number % 250}"),
    )


def consented(workspace: Workspace, client: OAuthClient, number: int, **same: str) -> Wish:
    grant = NewGrant(client, secret(), "mail", f"subject-{number}", f"box{number}@example.test", secret(), START)
    asked = wish(workspace, number, **same)
    return Wish(asked.workspace, asked.address, asked.place, grant, source_ip=asked.source_ip)


def ended(verdict: Verdict, **of: Any) -> None:
    """A worker has run them."""
    Trial.objects.filter(done_at__isnull=True, **of).update(done_at=START, starts=1, verdict=verdict)


@pytest.fixture
def client_of_ours() -> OAuthClient:
    return OAuthClient.objects.register("google", {"token_url": "https://token.test", "client_secret": secret()})


@pytest.mark.parametrize(
    ("window", "same", "whose"),
    [
        (PER_MAILBOX, {"address": "anna@example.test"}, "of this mailbox"),
        (PER_USER, {}, "by you"),
        (PER_HOST, {"host": "one.test"}, "of this mail server by your workspace"),
    ],
)
def test_s4_one_test_too_many_is_refused_and_the_wait_is_told(
    window: Window, same: dict[str, str], whose: str, clock: Clock
) -> None:
    workspace = make_workspace()
    me = make_member(workspace)
    for number in range(window.most):
        user = me if not same or "address" in same else make_member(workspace)
        begin(wish(workspace, number, **same), acting_user=user, now=clock())
    before = Trial.objects.count()
    with pytest.raises(Limited) as limited:
        begin(wish(workspace, 900, **same), acting_user=me, now=clock())
    assert whose in limited.value.words(clock()) and "try again in" in limited.value.words(clock())
    assert limited.value.until == START + window.within
    assert Trial.objects.count() == Candidate.objects.count() == before, "nothing of it is kept"
    clock.move(seconds=window.within.total_seconds())
    begin(wish(workspace, 900, **same), acting_user=me, now=clock())


def test_s4_a_workspace_has_its_number_of_tests_a_day(clock: Clock) -> None:
    workspace = make_workspace()
    for number in range(PER_WORKSPACE.most):
        begin(wish(workspace, number), acting_user=make_member(workspace), now=clock())
    with pytest.raises(Limited, match="in your workspace"):
        begin(wish(workspace, 901), acting_user=make_member(workspace), now=clock())


def test_code1_an_agency_connects_200_mailboxes_in_a_day(clock: Clock) -> None:
    workspace = make_workspace()
    me = make_member(workspace)
    for number in range(200):
        begin(wish(workspace, number, host="gmail.test", source="198.51.100.7"), acting_user=me, now=clock())
        ended(Verdict.PASSED)
        clock.move(minutes=1)
    assert Trial.objects.count() == 200


def test_code1_what_others_do_at_a_mail_server_refuses_nobody(clock: Clock) -> None:
    """Also what others fail at: whoever guesses there uses up their own tests alone."""
    for _ in range(4):
        workspace = make_workspace()
        for number in range(PER_HOST.most):
            begin(wish(workspace, number, host="gmail.test"), acting_user=make_member(workspace), now=clock())
        ended(Verdict.REFUSED)
    own = make_workspace()
    begin(wish(own, 1, host="gmail.test", source="198.51.100.7"), acting_user=make_member(own), now=clock())


def test_code1_1000_customers_reconnect_at_one_provider_within_a_minute(
    clock: Clock, client_of_ours: OAuthClient
) -> None:
    """Tests and consents mixed, from one big network (a provider's carrier-grade NAT), none of them ended yet."""
    customers = User.objects.bulk_create([User(username=f"c{n}@customer.test") for n in range(1000)])
    spaces = Workspace.objects.bulk_create([Workspace(name=f"Customer {n}") for n in range(1000)])
    Membership.objects.bulk_create([Membership(workspace=w, user=u) for w, u in zip(spaces, customers, strict=True)])
    same = {"host": "gmail.test", "source": "198.51.100.7"}
    for number, (workspace, user) in enumerate(zip(spaces, customers, strict=True)):
        asked = consented(workspace, client_of_ours, number, **same) if number % 2 else wish(workspace, number, **same)
        begin(asked, acting_user=user, now=clock())
        clock.move(seconds=0.05)
        if number % 3 == 0:
            ended(Verdict.PASSED, asked_by=user)
    assert Trial.objects.count() == 1000
    assert not Trial.objects.filter(begins_at__isnull=False).exists(), "none of them waits"
    assert clock() - START < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("one", "most"),
    [("user", PER_USER.most), ("workspace", PER_HOST.most), ("network", PER_NETWORK.most)],
)
def test_code1_whoever_guesses_passwords_at_a_mail_server_is_stopped(one: str, most: int, clock: Clock) -> None:
    shared = make_workspace()
    me = make_member(shared)
    tried = 0
    with pytest.raises(Limited):
        for number in range(200):
            workspace = shared if one == "workspace" else make_workspace()
            user = me if one == "user" else make_member(workspace)
            source = {"source": "198.51.100.7"} if one == "network" else {}
            begin(wish(workspace, number, host="victim.test", **source), acting_user=user, now=clock())
            ended(Verdict.REFUSED)
            tried += 1
    assert tried == most


def test_code1_one_mailbox_is_guessed_at_five_times_in_ten_minutes(clock: Clock) -> None:
    workspace = make_workspace()
    for number in range(PER_MAILBOX.most):
        asked = wish(workspace, number, address="anna@victim.test")
        begin(asked, acting_user=make_member(workspace), now=clock())
        ended(Verdict.REFUSED)
    with pytest.raises(Limited, match="of this mailbox"):
        begin(wish(workspace, 9, address="Anna@victim.test"), acting_user=make_member(workspace), now=clock())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("whose", "most"), [("mailbox", PER_MAILBOX.most), ("user", PER_USER.most)])
def test_s4_in_parallel_no_test_too_many_begins(whose: str, most: int) -> None:
    """24 threads at once; one user acts in two workspaces."""
    spaces = [make_workspace() for _ in range(2 if whose == "user" else 1)]
    me = make_member(spaces[0])
    same = {"address": "anna@example.test"} if whose == "mailbox" else {}
    together = threading.Barrier(THREADS)

    def work(number: int) -> bool:
        try:
            together.wait(timeout=30)
            begin(wish(spaces[number % len(spaces)], number, **same), acting_user=me, now=START)
        except Limited:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        begun = list(pool.map(work, range(THREADS)))
    assert begun.count(True) == Trial.objects.count() == most


# ---- consents


def test_code1_a_consent_too_many_keeps_its_grant_and_is_tested_by_itself(
    clock: Clock, client_of_ours: OAuthClient
) -> None:
    workspace = make_workspace()
    me = make_member(workspace)
    same = {"address": "anna@example.test"}
    for number in range(PER_CONSENT.most):
        begin(consented(workspace, client_of_ours, number, **same), acting_user=me, now=clock())
    ended(Verdict.REFUSED)
    late = begin(consented(workspace, client_of_ours, 9, **same), acting_user=me, now=clock())
    assert late.begins_at == START + PER_CONSENT.within
    assert Candidate.objects.get(trial=late).refresh_token, "the consent was not for nothing"
    assert trials.claim(9, clock()) == [] and not trials.waiting(clock()).exists()
    clock.move(seconds=PER_CONSENT.within.total_seconds())
    assert trials.claim(9, clock()) == [late], "still within the ten minutes that a candidate is kept (C6)"


def test_code1_of_consents_that_wait_for_one_mailbox_the_newest_is_tested(
    clock: Clock, client_of_ours: OAuthClient
) -> None:
    workspace = make_workspace()
    me = make_member(workspace)
    same = {"address": "anna@example.test"}
    begun = []
    for number in range(PER_CONSENT.most + 3):
        begun.append(begin(consented(workspace, client_of_ours, number, **same), acting_user=me, now=clock()))
        if number < PER_CONSENT.most:
            ended(Verdict.REFUSED)
    later: datetime = clock.move(seconds=PER_CONSENT.within.total_seconds())
    assert trials.claim(9, later) == [begun[-1]]
    assert Trial.objects.get(pk=begun[-2].pk).note == trials.SUPERSEDED
    assert not Candidate.objects.filter(trial=begun[-2]).exists()


def test_code1_a_consent_is_not_counted_with_passwords(clock: Clock, client_of_ours: OAuthClient) -> None:
    workspace = make_workspace()
    me = make_member(workspace)
    for number in range(PER_USER.most):
        begin(wish(workspace, number, host="gmail.test"), acting_user=me, now=clock())
    assert begin(consented(workspace, client_of_ours, 900), acting_user=me, now=clock()).begins_at is None
