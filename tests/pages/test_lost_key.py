"""The drill of docs/keys.md: with a lost key of FERNET_KEYS everything can be set right from the pages (SEC-12)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mailboxes.health.due import check_mailboxes
from mailboxes.models import Candidate, Credential, Mailbox, OAuthClient, StaffAlarm, Trial
from mailboxes.reconnect import removal
from mailboxes.reconnect.credentials import NewGrant, Password, replace
from mailboxes.reconnect.keeping import Gone, keep_anyway
from mailboxes.reconnect.testing import run_trials
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.make import (
    START,
    Clock,
    make_mailbox,
    make_member,
    make_outgoing,
    make_sandbox_mailbox,
    place_of,
    register,
    secret,
)
from tests.pages.consent import consent
from tests.pages.customers import broken, customer
from tests.pages.test_forms import form
from tests.reconnect.test_destinations import client_values

pytestmark = pytest.mark.django_db
HOST = "127.0.0.1"  # the provider knows our redirect addresses there


@pytest.fixture
def lose(settings: Any) -> Callable[[], None]:
    """Call it: all that is stored so far was encrypted with a key that is gone."""
    return lambda: setattr(settings, "FERNET_KEYS", ["another-key-than-before"])


def pages(mailbox: Mailbox) -> list[str]:
    one = f"/mailboxes/{mailbox.pk}/"
    return ["/", "/mailboxes/", one, f"{one}live/", f"{one}credentials/", f"{one}remove/", f"{one}confirm/"]


def test_sec12_customers_pages_open_with_a_lost_key(lose: Callable[[], None]) -> None:
    mailbox = broken()
    client = customer(mailbox.workspace)
    lose()
    found = {path: client.get(path).status_code for path in pages(mailbox)}
    assert set(found.values()) <= {200, 302, 404, 405} and found["/mailboxes/"] == 200, found


def test_sec12_a_password_typed_anew_is_tested_and_kept(
    sandbox: Sandbox, clock: Clock, network: Callable[[], None], lose: Callable[[], None]
) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    network()
    Mailbox.objects.filter(pk=mailbox.pk).update(category="auth_failed")
    lose()
    names = [f"{leg}_{part}" for leg in ("smtp", "imap") for part in ("host", "port", "security")]
    typed = form(password=account.password, **{name: getattr(mailbox, name) for name in names})
    answer = customer(mailbox.workspace).post(f"/mailboxes/{mailbox.pk}/credentials/", typed)
    assert answer.status_code == 302
    run_trials(1, make_outgoing(sandbox, clock))
    assert Mailbox.objects.get(pk=mailbox.pk).status == "connected"
    assert Credential.objects.get(mailbox=mailbox).password == account.password


@pytest.mark.usefixtures("network")
def test_sec12_the_client_secret_and_then_a_consent_are_given_anew(
    sandbox: Sandbox, clock: Clock, support_client: Client, lose: Callable[[], None]
) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, provider="google_workspace")
    ours = register(sandbox, "google")
    kept = ours.client_secret
    replace(mailbox, NewGrant(ours, account.refresh_token, "mail"), acting_user=None, now=START)
    lose()
    owner = Client(SERVER_NAME=HOST)
    owner.force_login(make_member(mailbox.workspace))
    page = reverse("admin:mailboxes_oauthclient_change", args=[ours.pk])
    refused = owner.post("/oauth/google/start/", {"mailbox": mailbox.pk})
    assert refused.status_code == 503 and "Our own registration has a fault" in refused.content.decode()
    assert "FERNET_KEYS" in StaffAlarm.objects.get(key="google").text
    OAuthClient.objects.update(authorize_url="https://consent.test/")  # the sandbox's is plain http: no form takes it
    typed = client_values(OAuthClient.objects.defer("client_secret").get(), new_secret=str(kept))
    assert support_client.post(page, typed).status_code == 302
    register(sandbox, "google")
    assert consent(owner, "google", mailbox, account).status_code == 302
    run_trials(10, make_outgoing(sandbox, clock))
    assert Mailbox.objects.get(pk=mailbox.pk).status == "connected"


@pytest.mark.parametrize("kind", ["password", "grant"])
def test_sec12_a_mailbox_can_be_removed(sandbox: Sandbox, clock: Clock, kind: str, lose: Callable[[], None]) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    if kind == "grant":
        grant = NewGrant(register(sandbox, "google"), account.refresh_token, "mail", account.subject, account.sign_in)
        replace(mailbox, grant, acting_user=None, now=START)
    client = customer(mailbox.workspace)
    lose()
    assert client.post(f"/mailboxes/{mailbox.pk}/remove/").status_code == 302
    clock.now = timezone.now() + timedelta(hours=2)
    removal.revoke_waiting(make_outgoing(sandbox, clock))
    assert not Credential.objects.filter(mailbox=mailbox).exists()


def test_sec12_a_grant_that_no_key_opens_holds_back_no_other(
    sandbox: Sandbox, clock: Clock, settings: Any, lose: Callable[[], None]
) -> None:
    first, account = make_sandbox_mailbox(sandbox)
    second, other = make_sandbox_mailbox(sandbox)
    user = make_member(first.workspace)
    for mailbox, theirs in ((first, account), (second, other)):
        client = register(sandbox, "google")
        grant = NewGrant(client, theirs.refresh_token, "mail", theirs.subject, theirs.sign_in)
        replace(mailbox, grant, acting_user=None, now=START)
        removal.remove(mailbox, acting_user=user, now=clock())
        lose()
    assert removal.revoke_waiting(make_outgoing(sandbox, clock)) >= 1
    assert other.seen["revocations"] == 1


def test_sec12_nobody_is_flagged_and_staff_are_told(sandbox: Sandbox, clock: Clock, lose: Callable[[], None]) -> None:
    mailbox, _account = make_sandbox_mailbox(sandbox)
    fine = make_mailbox()
    lose()
    replace(fine, Password(secret()), acting_user=None, now=clock.now)
    check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
    assert Mailbox.objects.get(pk=mailbox.pk).needs_reconnect is False
    assert "FERNET_KEYS" in StaffAlarm.objects.get().text


def test_sec12_a_test_that_waits_ends_and_holds_back_no_other(
    sandbox: Sandbox, clock: Clock, lose: Callable[[], None]
) -> None:
    first, _account = make_sandbox_mailbox(sandbox)
    second, account = make_sandbox_mailbox(sandbox)
    client = customer(first.workspace)
    waiting = [_test(first, secret(), clock)]
    lose()
    waiting.append(_test(second, account.password, clock, place_of(account)))
    assert client.get(f"/tests/{waiting[0].pk}/").status_code == 200
    assert run_trials(10, make_outgoing(sandbox, clock)) == 2
    assert [Trial.objects.get(pk=one.pk).verdict for one in waiting] == ["unsure", "passed"]
    assert client.post(f"/tests/{waiting[0].pk}/keep/").status_code < 500


def test_sec12_what_was_tested_before_the_key_was_lost_is_gone(
    sandbox: Sandbox, clock: Clock, lose: Callable[[], None]
) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    trial = _test(mailbox, account.password, clock, place_of(account), test_only=True)
    run_trials(1, make_outgoing(sandbox, clock))
    trial.refresh_from_db()
    lose()
    with pytest.raises(Gone):
        keep_anyway(trial, send_only=False, acting_user=make_member(mailbox.workspace), now=clock.now)


def test_c6_a_test_that_is_given_up_once_it_was_claimed_holds_back_no_other(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    trials = [_test(mailbox, secret(), clock), _test(mailbox, account.password, clock, place_of(account))]

    def give_up(execute: Any, sql: str, *rest: Any) -> Any:
        answer = execute(sql, *rest)
        if sql.startswith("UPDATE") and "claimed_until" in sql:
            Candidate.objects.filter(trial=trials[0]).delete()
        return answer

    with connection.execute_wrapper(give_up):
        run_trials(10, make_outgoing(sandbox, clock))
    assert [Trial.objects.get(pk=one.pk).verdict for one in trials] == ["unsure", "passed"]


def _test(mailbox: Mailbox, password: str, clock: Clock, place: Any = None, *, test_only: bool = False) -> Trial:
    wish = Wish(mailbox.workspace, mailbox.address, place or {}, Password(password), mailbox, test_only=test_only)
    return begin(wish, acting_user=make_member(mailbox.workspace), now=clock.now)
