"""A removed mailbox stops, is wiped and keeps its history (SPEC C9; FACTS A10)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mailboxes.health.evidence import Evidence
from mailboxes.health.record import record
from mailboxes.models import (
    AuditEntry,
    Candidate,
    CheckState,
    Credential,
    Failure,
    Mailbox,
    Trial,
)
from mailboxes.reconnect import removal
from mailboxes.reconnect.credentials import NewGrant, Password, replace
from mailboxes.reconnect.testing import run_trials
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg
from tests.make import (
    START,
    Clock,
    evidence,
    make_mailbox,
    make_member,
    make_outgoing,
    make_sandbox_mailbox,
    place_of,
    register,
    secret,
)
from tests.pages.customers import broken, customer, text

pytestmark = pytest.mark.django_db


def works(*mailboxes: Mailbox) -> list[Evidence]:
    return [evidence(mailbox, leg) for mailbox in mailboxes for leg in (Leg.SMTP, Leg.IMAP)]


def test_c9_a_removed_mailbox_stops_is_wiped_and_keeps_its_history() -> None:
    mailbox = broken()
    client = customer(mailbox.workspace)
    assert "Keep it" in text(client.get(f"/mailboxes/{mailbox.pk}/remove/"))
    client.post(f"/mailboxes/{mailbox.pk}/remove/")
    mailbox.refresh_from_db()
    assert mailbox.removed_at is not None and not mailbox.needs_reconnect
    assert not Credential.objects.filter(mailbox=mailbox).exists()
    assert CheckState.objects.get(mailbox=mailbox).next_check_at is None
    assert Failure.objects.filter(mailbox=mailbox).exists() and mailbox.status_changes.exists()
    client.get("/mailboxes/")  # tells it once
    assert mailbox.address not in text(client.get("/mailboxes/"))
    assert client.get(f"/mailboxes/{mailbox.pk}/").status_code == 404


def test_c9_what_a_late_check_brings_home_moves_nothing() -> None:
    mailbox = make_mailbox()
    late = works(mailbox)
    removal.remove(mailbox, acting_user=make_member(mailbox.workspace), now=START)
    record(late, now=START)
    mailbox.refresh_from_db()
    assert mailbox.status == "unverified" and not Mailbox.objects.can_send().filter(pk=mailbox.pk).exists()


def test_c9_a_removed_address_that_comes_back_goes_on_with_its_history(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    removal.remove(mailbox, acting_user=make_member(mailbox.workspace), now=START)

    wish = Wish(mailbox.workspace, account.address, place_of(account), Password(account.password))
    begin(wish, acting_user=make_member(mailbox.workspace), now=clock())
    run_trials(1, make_outgoing(sandbox, clock))
    back = Mailbox.objects.get(pk=mailbox.pk)
    assert (back.removed_at, back.status) == (None, "connected")


def shared_grant(sandbox: Sandbox, account: Account, *mailboxes: Mailbox) -> None:
    for mailbox in mailboxes:
        grant = NewGrant(register(sandbox, "google"), account.refresh_token, "mail", account.subject, account.sign_in)
        replace(mailbox, grant, acting_user=None, now=START)


def test_c9_a_grant_is_given_back_only_when_its_last_mailbox_leaves(sandbox: Sandbox, clock: Clock) -> None:
    first, account = make_sandbox_mailbox(sandbox)
    second = make_mailbox()
    shared_grant(sandbox, account, first, second)
    outgoing, user = make_outgoing(sandbox, clock), make_member(first.workspace)
    removal.remove(first, acting_user=user, now=clock())
    assert removal.revoke_waiting(outgoing) == 0 and account.seen["revocations"] == 0
    removal.remove(second, acting_user=user, now=clock())
    assert removal.revoke_waiting(outgoing) == 1 and account.seen["revocations"] == 1
    assert not Credential.objects.filter(mailbox__in=[first, second]).exists()


def test_c9_a_grant_that_cannot_be_given_back_is_wiped_after_an_hour(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    shared_grant(sandbox, account, mailbox)
    client = register(sandbox, "google")
    client.revoke_url = client.revoke_url.replace(str(sandbox.token_port), "1")
    client.give_secret(secret())
    client.save()
    outgoing = make_outgoing(sandbox, clock)
    removal.remove(mailbox, acting_user=make_member(mailbox.workspace), now=clock())
    assert removal.revoke_waiting(outgoing) == 0 and Credential.objects.filter(mailbox=mailbox).exists()
    assert not removal.waiting(clock()).exists(), "not asked again at once"
    clock.move(minutes=61)
    assert removal.revoke_waiting(outgoing) == 1 and not Credential.objects.filter(mailbox=mailbox).exists()


def test_c9_a_mailbox_that_comes_back_while_its_old_grant_waits_keeps_the_new_credential(
    sandbox: Sandbox, clock: Clock
) -> None:
    for new in ("password", "grant"):
        mailbox, account = make_sandbox_mailbox(sandbox)
        shared_grant(sandbox, account, mailbox)
        removal.remove(mailbox, acting_user=make_member(mailbox.workspace), now=clock())
        Mailbox.objects.filter(pk=mailbox.pk).update(removed_at=None)
        if new == "password":
            replace(mailbox, Password(account.password), acting_user=None, now=clock())
        else:
            shared_grant(sandbox, account, mailbox)
        assert removal.revoke_waiting(make_outgoing(sandbox, clock)) == 0
        assert account.seen["revocations"] == 0 and Credential.objects.filter(mailbox=mailbox).exists()


def test_c9_a_grant_that_another_mailbox_lives_by_meanwhile_is_wiped_and_not_revoked(
    sandbox: Sandbox, clock: Clock
) -> None:
    first, account = make_sandbox_mailbox(sandbox)
    shared_grant(sandbox, account, first)
    removal.remove(first, acting_user=make_member(first.workspace), now=clock())
    shared_grant(sandbox, account, make_mailbox())
    assert removal.revoke_waiting(make_outgoing(sandbox, clock)) == 1
    assert account.seen["revocations"] == 0 and not Credential.objects.filter(mailbox=first).exists()


def test_c9_removing_twice_is_removing_once() -> None:
    mailbox = make_mailbox()
    user = make_member(mailbox.workspace)
    for _ in range(2):
        removal.remove(mailbox, acting_user=user, now=START)
    assert AuditEntry.objects.filter(action="mailbox removed").count() == 1


def test_c9_mutant46_a_grant_that_a_trial_is_about_to_live_by_is_wiped_and_not_revoked(
    sandbox: Sandbox, clock: Clock
) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    shared_grant(sandbox, account, mailbox)
    client = register(sandbox, "google")
    trial = Trial.objects.create(
        workspace=mailbox.workspace, address=account.address, kind="oauth", oauth_client=client,
        identity=account.subject, place=place_of(account), asked_at=clock(),
    )  # fmt: skip
    Candidate.objects.create(trial=trial, expires_at=clock() + timedelta(minutes=10), refresh_token="new")
    removal.remove(mailbox, acting_user=make_member(mailbox.workspace), now=clock())
    assert not Credential.objects.filter(mailbox=mailbox).exists()
    assert removal.revoke_waiting(make_outgoing(sandbox, clock)) == 0 and account.seen["revocations"] == 0
