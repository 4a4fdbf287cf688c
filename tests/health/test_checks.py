"""Claiming, checking, refreshing and asking over real sockets (SPEC H4, H10, H11, A3)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DataError
from django.test import override_settings

from mailboxes.health import asked, due, holds, tokens
from mailboxes.health.due import LEASE, check_due, check_mailboxes, claim_due
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.record import record
from mailboxes.health.targets import Subject, load
from mailboxes.models import AskedCheck, AuditEntry, CheckState, Credential, Failure, Mailbox, OAuthClient, StaffAlarm
from mailboxes.reconnect.credentials import NewGrant, Password, replace
from mailboxes.sandbox.faults import NO_FAULT, Fault, LegFault, faults
from mailboxes.sandbox.server import CLIENT, Sandbox
from mailboxes.states import Source
from mailboxes.wire.runner import Bounds
from mailboxes.wire.values import Limits
from tests.make import (
    START,
    Clock,
    caught_up,
    make_mailbox,
    make_oauth_client,
    make_outgoing,
    make_sandbox_mailbox,
    secret,
    state_of,
)

pytestmark = pytest.mark.django_db
OAUTH = Fault("oauth", "An account with a grant", needs=("oauth",))


def status_of(mailbox: Mailbox) -> tuple[str, str]:
    return Mailbox.objects.values_list("status", "category").get(pk=mailbox.pk)


def test_what_is_due_is_checked_and_due_again_within_the_hour(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    assert check_due(10, make_outgoing(sandbox, clock)) == 1
    assert status_of(mailbox) == ("connected", "")
    assert (account.seen["smtp logins"], account.seen["imap logins"]) == (1, 1)
    due = state_of(mailbox).next_check_at
    assert due is not None and timedelta(minutes=48) <= due - clock.now <= timedelta(minutes=72)


def test_a_claim_is_a_lease(clock: Clock) -> None:
    mailbox = make_mailbox()
    assert claim_due(10, clock.now) == [mailbox.pk]
    assert claim_due(10, clock.now) == []
    assert claim_due(10, clock.now + LEASE) == [mailbox.pk]


def test_the_longest_overdue_is_claimed_first(clock: Clock) -> None:
    first, second = make_mailbox(), make_mailbox()
    type(state_of(second)).objects.filter(pk=second.pk).update(next_check_at=START - timedelta(hours=1))
    assert claim_due(1, clock.now) == [second.pk]
    assert claim_due(1, clock.now) == [first.pk]


def test_h4_a_flagged_password_is_tried_once_a_day_for_two_weeks(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, faults()["wrong-password"])
    outgoing = make_outgoing(sandbox, clock)
    check_due(10, outgoing)
    assert status_of(mailbox) == ("needs_reauth", "auth_failed")
    logins = []
    for _day in range(30):
        clock.move(days=1)
        check_due(10, outgoing)
        logins.append(account.seen["smtp logins"] + account.seen["imap logins"])
    assert logins[:3] == [3, 4, 5]  # one leg, once a day
    assert set(logins[13:]) == {2 + 14}  # for two weeks


def test_r4_a_new_password_is_checked_at_once_and_clears_the_badge(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, faults()["wrong-password"])
    outgoing = make_outgoing(sandbox, clock)
    check_due(10, outgoing)
    sandbox.set_fault(account.address, NO_FAULT)
    account.password = secret()
    replace(mailbox, Password(account.password), acting_user=None, now=clock.move(hours=3))
    check_due(10, outgoing)
    assert status_of(mailbox) == ("connected", "")


def test_h11_a_grant_is_refreshed_before_use_and_the_token_kept(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, OAUTH)
    outgoing = make_outgoing(sandbox, clock)
    check_due(10, outgoing)
    assert status_of(mailbox) == ("connected", "")
    clock.move(minutes=30)
    check_mailboxes([mailbox.pk], Source.ASKED, outgoing)
    assert account.seen["refreshes"] == 1
    clock.move(minutes=40)
    check_mailboxes([mailbox.pk], Source.ASKED, outgoing)
    assert account.seen["refreshes"] == 2


def test_h4_a_refused_cached_token_is_refreshed_once_before_it_counts(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, OAUTH)
    outgoing = make_outgoing(sandbox, clock)
    check_due(10, outgoing)
    account.access_tokens.clear()  # the provider ended the token before its time
    clock.move(minutes=5)
    check_mailboxes([mailbox.pk], Source.ASKED, outgoing)
    assert status_of(mailbox) == ("connected", "")
    assert account.seen["refreshes"] == 2
    assert not Failure.objects.filter(mailbox=mailbox).exists()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("grant-revoked", ("needs_reauth", "oauth_revoked")),
        ("token-endpoint-503", ("unverified", "")),  # H5: once says nothing
        ("client-secret-expired", ("unverified", "")),
    ],
)
def test_h11_a_failing_refresh_is_read_by_its_cause(
    sandbox: Sandbox, clock: Clock, fault: str, expected: tuple[str, str]
) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, faults()[fault])
    check_due(10, make_outgoing(sandbox, clock))
    assert status_of(mailbox) == expected
    assert account.seen["smtp connections"] == 0
    assert StaffAlarm.objects.exists() is (fault == "client-secret-expired")


def renew(subject: Subject, outgoing: Outgoing) -> bool:
    """One refresh by the lease's steps: take, ask, give back. False where the lease was not free."""
    lease = tokens.Lease(outgoing)
    mine = lease.take([subject])
    return bool(mine) and lease.give_back(subject, asyncio.run(lease.refresh(subject)))


def test_h11_a_leased_grant_is_left_alone(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, OAUTH)
    (subject,) = load([mailbox.pk], clock.now)
    Credential.objects.filter(mailbox=mailbox).update(refresh_lease="other", refresh_lease_until=START + tokens.LEASE)
    assert not renew(subject, make_outgoing(sandbox, clock))
    clock.move(minutes=5)
    assert renew(subject, make_outgoing(sandbox, clock))
    assert account.seen["refreshes"] == 1


def test_h11_a_grant_refreshed_meanwhile_is_not_refreshed_again(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, OAUTH)
    outgoing = make_outgoing(sandbox, clock)
    (subject,) = load([mailbox.pk], clock.now)
    assert renew(subject, outgoing)
    assert not renew(subject, outgoing)
    assert account.seen["refreshes"] == 1


def test_h11_a_second_grant_is_leased_while_the_first_is_under_way(sandbox: Sandbox, clock: Clock) -> None:
    ids = [make_sandbox_mailbox(sandbox, OAUTH)[0].pk for _ in range(2)]
    first, second = load(ids, clock.now)
    lease = tokens.Lease(make_outgoing(sandbox, clock))
    assert (lease.take([first]), lease.take([second])) == ([first], [second])
    for subject in (first, second):
        assert lease.give_back(subject, asyncio.run(lease.refresh(subject)))


def test_h11_a_grant_replaced_during_a_refresh_is_not_overwritten(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _account = make_sandbox_mailbox(sandbox, OAUTH)
    (subject,) = load([mailbox.pk], clock.now)
    lease = tokens.Lease(make_outgoing(sandbox, clock))
    assert lease.take([subject]) == [subject]
    attempt = asyncio.run(lease.refresh(subject))
    fresh = secret()
    replace(mailbox, NewGrant(make_oauth_client(sandbox), fresh), acting_user=None, now=clock.now)
    assert not lease.give_back(subject, attempt)
    kept = Credential.objects.get(mailbox=mailbox)
    assert (kept.refresh_token, kept.access_token) == (fresh, None)


def test_a3_an_asked_check_keeps_its_result(sandbox: Sandbox, clock: Clock, support: User) -> None:
    mailbox, _account = make_sandbox_mailbox(sandbox, faults()["folder-missing"])
    assert asked.ask([mailbox.pk], acting_user=support, now=clock.now) == 1
    assert asked.ask([mailbox.pk], acting_user=support, now=clock.now) == 0
    assert asked.check_asked(10, make_outgoing(sandbox, clock)) == 1
    row = AskedCheck.objects.get()
    assert (row.status, row.done_at) == ("suspect", clock.now)
    steps = {leg["leg"]: [step["stage"] for step in leg["steps"] if not step["ok"]] for leg in row.legs}
    assert steps == {"smtp": [], "imap": ["select"]}
    assert AuditEntry.objects.filter(actor=support, action="check asked").count() == 1


def test_a3_an_asked_check_that_never_ends_is_closed_after_three_starts(clock: Clock) -> None:
    mailbox = make_mailbox()
    asked.ask([mailbox.pk], acting_user=None, now=clock.now)
    for _start in range(3):
        assert len(asked.claim(10, clock.now)) == 1
        assert asked.claim(10, clock.now) == {}
        clock.move(minutes=3)
    assert asked.claim(10, clock.now) == {}
    assert "three times" in AskedCheck.objects.get().note


def test_a_mailbox_that_no_key_opens_stops_nobody(sandbox: Sandbox, clock: Clock) -> None:
    lost, _ = make_sandbox_mailbox(sandbox)
    with override_settings(FERNET_KEYS=["another key"]):
        good, _ = make_sandbox_mailbox(sandbox)
    with override_settings(FERNET_KEYS=["another key"]):
        assert check_due(10, make_outgoing(sandbox, clock)) == 2
    assert (status_of(good)[0], status_of(lost)[0]) == ("connected", "unverified")
    assert state_of(lost).next_check_at == clock.now + timedelta(minutes=15)  # the key may come back
    assert StaffAlarm.objects.get().kind == "credential_unreadable"


def test_a_held_mailbox_is_still_checked_and_does_no_work(sandbox: Sandbox, clock: Clock, support: User) -> None:
    mailbox, _ = make_sandbox_mailbox(sandbox)
    holds.hold([mailbox.pk], reason="on holiday", acting_user=support, now=clock.now)
    check_due(10, make_outgoing(sandbox, clock))
    assert status_of(mailbox) == ("connected", "")
    assert not Mailbox.objects.can_send(clock.now).exists()
    holds.release([mailbox.pk], acting_user=support, now=clock.now)
    caught_up(mailbox, clock.now)
    assert Mailbox.objects.can_send(clock.now).exists()
    assert {"paused", "resumed"} <= set(AuditEntry.objects.values_list("action", flat=True))


def test_o2_a_host_that_hangs_does_not_outlast_the_batch(sandbox: Sandbox, clock: Clock) -> None:
    made = [make_sandbox_mailbox(sandbox, faults()["never-answers"])[0] for _ in range(6)]
    limits = Limits(dns_s=1.0, connect_s=1.0, command_s=1.0, total_s=1.0)
    connector = sandbox.connector(limits)
    outgoing = Outgoing(connector, connector, Bounds(total=2, per_host=2), clock)
    assert check_due(10, outgoing) == 6
    tried = {mailbox.pk: state_of(mailbox).last_check_at is not None for mailbox in made}
    assert set(tried.values()) == {True, False}
    left = [state_of(mailbox) for mailbox in made if not tried[mailbox.pk]]
    assert {state.next_check_at for state in left} == {clock.now + LEASE}


def test_a_mailbox_without_a_credential_is_not_due_again(sandbox: Sandbox, clock: Clock) -> None:
    mailbox = make_mailbox()
    Credential.objects.all().delete()
    check_due(10, make_outgoing(sandbox, clock))
    assert state_of(mailbox).next_check_at is None


def test_o2_a_hanging_token_endpoint_keeps_no_password_mailbox_waiting(sandbox: Sandbox, clock: Clock) -> None:
    good, _ = make_sandbox_mailbox(sandbox)
    hung, _ = make_sandbox_mailbox(sandbox, OAUTH)
    silent = faults()["never-answers"]
    place, _account = make_sandbox_mailbox(sandbox, silent)
    url = f"https://{place.imap_host}:{place.imap_port}/token"
    ours = OAuthClient.objects.register(
        "sandbox", {"token_url": url, "client_id": CLIENT[0], "client_secret": CLIENT[1]}
    )
    replace(hung, NewGrant(ours, secret()), acting_user=None, now=START)
    outgoing = short(sandbox, clock)
    check_mailboxes([good.pk, hung.pk], Source.CHECK, outgoing)
    assert status_of(good)[0] == "connected"


def test_h4_the_second_try_does_not_wait_for_a_neighbour_that_hangs(sandbox: Sandbox, clock: Clock) -> None:
    revoked, account = make_sandbox_mailbox(sandbox, OAUTH)
    hung, _ = make_sandbox_mailbox(sandbox, faults()["never-answers"])
    check_mailboxes([revoked.pk], Source.CHECK, make_outgoing(sandbox, clock))
    account.access_tokens.clear()
    sandbox.set_fault(account.address, faults()["grant-revoked"])
    clock.move(minutes=5)
    check_mailboxes([revoked.pk, hung.pk], Source.CHECK, short(sandbox, clock))
    assert status_of(revoked) == ("suspect", "oauth_revoked")


def short(sandbox: Sandbox, clock: Clock) -> Outgoing:
    connector = sandbox.connector(Limits(dns_s=1.0, connect_s=1.0, command_s=1.0, total_s=1.5))
    return Outgoing(connector, connector, Bounds(), clock)


def test_x3_an_smtp_server_that_hangs_leaves_imap_its_time(sandbox: Sandbox, clock: Clock) -> None:
    hangs = Fault("hangs", "SMTP says nothing", needs=("starttls",), smtp=LegFault(connect="silent"))
    mailbox, _ = make_sandbox_mailbox(sandbox, hangs)
    check_mailboxes([mailbox.pk], Source.CHECK, short(sandbox, clock))
    assert list(Failure.objects.filter(mailbox=mailbox).values_list("leg", flat=True)) == ["smtp"]


@pytest.mark.parametrize("code", ["\x00X", " ", "PmSecretXyz", "A" * 300])
def test_s1_a_servers_code_is_as_hostile_as_its_text(sandbox: Sandbox, clock: Clock, code: str) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    code = account.password if code == "PmSecretXyz" else code
    sandbox.set_fault(account.address, Fault("hostile", "", imap=LegFault(auth="{tag} NO [" + code + "] no")))
    good, _ = make_sandbox_mailbox(sandbox)
    check_mailboxes([mailbox.pk, good.pk], Source.CHECK, make_outgoing(sandbox, clock))
    assert status_of(good)[0] == "connected"
    assert Failure.objects.filter(mailbox=mailbox).count() == 1


def test_one_answer_that_cannot_be_stored_takes_no_other_with_it(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, _ = make_sandbox_mailbox(sandbox)
    good, _ = make_sandbox_mailbox(sandbox)
    real = record

    def picky(evidence: Any, *, now: Any) -> Any:
        items = list(evidence)
        if any(item.mailbox_id == bad.pk for item in items):
            raise DataError("not storable")
        return real(items, now=now)

    monkeypatch.setattr(due, "record", picky)
    check_mailboxes([bad.pk, good.pk], Source.CHECK, make_outgoing(sandbox, clock))
    assert (status_of(good)[0], status_of(bad)[0]) == ("connected", "unverified")


def test_a_host_that_hangs_keeps_its_own_place_and_the_work_goes_on(sandbox: Sandbox, clock: Clock) -> None:
    """One batch after the other is begun while the first one's slowest mailbox still waits for its server."""
    hung, account = make_sandbox_mailbox(sandbox, Fault("hangs", "", smtp=LegFault(connect="silent")))
    CheckState.objects.filter(mailbox=hung).update(next_check_at=START - timedelta(hours=1))
    for _ in range(9):
        make_sandbox_mailbox(sandbox)
    clock.move(minutes=1)
    assert check_due(3, make_outgoing(sandbox, clock), take_for_s=5) == 10
    assert Mailbox.objects.filter(status="connected").count() == 9
    assert state_of(hung).smtp["failures"] == 1
    assert account.seen["smtp connections"] == 1


def test_what_is_due_is_taken_in_batches_and_each_mailbox_once(sandbox: Sandbox, clock: Clock) -> None:
    accounts = [make_sandbox_mailbox(sandbox)[1] for _ in range(7)]
    clock.move(minutes=1)
    assert check_due(2, make_outgoing(sandbox, clock), take_for_s=5) == 7
    assert {account.seen["smtp logins"] for account in accounts} == {1}
