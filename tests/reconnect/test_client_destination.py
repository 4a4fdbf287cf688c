"""Our own client secret goes only to the addresses it was given for, whatever changed the row (SPEC S7; SEC-2)."""

from __future__ import annotations

import importlib
import io
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from mailboxes.health.due import check_mailboxes
from mailboxes.health.targets import without_secret
from mailboxes.models import CheckState, Mailbox, OAuthClient, StaffAlarm
from mailboxes.models.destination import CLIENT_ADDRESSES
from mailboxes.reconnect import administrator, removal
from mailboxes.reconnect.credentials import NewGrant, replace
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.make import (
    START,
    Clock,
    make_mailbox,
    make_member,
    make_outgoing,
    make_sandbox_mailbox,
    make_workspace,
    register,
    secret,
)
from tests.pages.consent import begin, decide
from tests.reconnect.test_destinations import client_values

pytestmark = pytest.mark.django_db
HOST = "127.0.0.1"  # the provider knows our redirect addresses there


def granted(sandbox: Sandbox) -> tuple[Mailbox, Account]:
    mailbox, account = make_sandbox_mailbox(sandbox, provider="google_workspace")
    grant = NewGrant(register(sandbox, "google"), account.refresh_token, "mail", account.subject, account.sign_in)
    replace(mailbox, grant, acting_user=None, now=START)
    return Mailbox.objects.get(pk=mailbox.pk), account


def change(sandbox: Sandbox, column: str) -> None:
    """By a statement, which asks no form. The address is one where a server would listen."""
    OAuthClient.objects.update(**{column: f"{sandbox.provider.base_url}/microsoft/token"})


def owner_of(mailbox: Mailbox) -> Client:
    client = Client(SERVER_NAME=HOST)
    client.force_login(make_member(mailbox.workspace))
    return client


@pytest.mark.parametrize("column", CLIENT_ADDRESSES)
def test_sec2_whatever_address_was_changed_no_refresh_is_sent_and_nobody_is_flagged(
    sandbox: Sandbox, clock: Clock, column: str
) -> None:
    mailbox, account = granted(sandbox)
    change(sandbox, column)
    check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
    found = Mailbox.objects.get(pk=mailbox.pk)
    assert account.seen["refreshes"] == 0
    assert (found.status, found.needs_reconnect) == ("unverified", False)
    assert "changed without its secret" in StaffAlarm.objects.get(key="google").text


def test_sec2_once_the_address_is_right_again_all_goes_on_by_itself(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = granted(sandbox)
    right = OAuthClient.objects.values_list("token_url", flat=True).get()
    change(sandbox, "token_url")
    check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
    due = CheckState.objects.get(mailbox=mailbox).next_check_at
    assert due is not None, "ours, so it is tried again"
    OAuthClient.objects.update(token_url=right)
    clock.move(minutes=20)
    check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
    assert account.seen["refreshes"] == 1 and Mailbox.objects.get(pk=mailbox.pk).status == "connected"


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("column", CLIENT_ADDRESSES)
def test_sec2_no_consent_begins_at_a_changed_address(sandbox: Sandbox, column: str) -> None:
    mailbox, _account = granted(sandbox)
    change(sandbox, column)
    answer = owner_of(mailbox).post("/oauth/google/start/", {"mailbox": mailbox.pk})
    assert answer.status_code == 503 and "Our own registration has a fault" in answer.content.decode()
    assert StaffAlarm.objects.filter(key="google").exists()


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("column", ["token_url", "identity_url"])
def test_sec2_a_consent_under_way_is_not_redeemed_at_a_changed_address(sandbox: Sandbox, column: str) -> None:
    mailbox, account = granted(sandbox)
    client = owner_of(mailbox)
    back = decide(begin(client, "google", mailbox), account)
    asked = sandbox.provider.requests
    change(sandbox, column)
    assert client.get(back).status_code == 503
    assert sandbox.provider.requests == asked, "nobody was told the code or the secret"


def test_sec2_a_grant_is_given_back_nowhere_else(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = granted(sandbox)
    OAuthClient.objects.update(revoke_url=f"{sandbox.provider.base_url}/google/revoke?x")
    removal.remove(mailbox, acting_user=make_member(mailbox.workspace), now=clock())
    assert removal.revoke_waiting(make_outgoing(sandbox, clock)) == 0
    assert account.seen["revocations"] == 0


@pytest.mark.usefixtures("network")
def test_sec2_doctor_says_so_and_asks_nobody(sandbox: Sandbox) -> None:
    granted(sandbox)
    change(sandbox, "token_url")
    out, asked = io.StringIO(), sandbox.provider.requests
    with pytest.raises(CommandError):
        call_command("doctor", "--host", "nowhere.test", stdout=out)
    assert "The addresses of the OAuth client google were changed without its secret" in out.getvalue()
    assert sandbox.provider.requests == asked


def test_sec2_a_test_of_new_credentials_takes_no_client_secret(sandbox: Sandbox) -> None:
    granted(sandbox)
    ours = OAuthClient.objects.defer("client_secret").get()
    assert without_secret(ours).client_secret == "" and "client_secret" in ours.get_deferred_fields()


def test_sec2_a_secret_typed_anew_goes_to_the_new_addresses(support_client: Client, sandbox: Sandbox) -> None:
    granted(sandbox)
    OAuthClient.objects.update(name="other", authorize_url="https://consent.test/", token_url="https://evil.test/token")
    ours = OAuthClient.objects.get()
    page = reverse("admin:mailboxes_oauthclient_change", args=[ours.pk])
    assert support_client.post(page, client_values(ours)).status_code == 302
    assert OAuthClient.objects.get().is_astray, "nothing was typed"
    assert support_client.post(page, client_values(ours, new_secret=secret())).status_code == 302
    assert not OAuthClient.objects.get().is_astray


def test_sec2_a_client_made_without_giving_its_secret_is_told_nothing() -> None:
    OAuthClient.objects.create(name="x", token_url="https://t.test", client_id="x", client_secret=secret())
    assert OAuthClient.objects.get().is_astray


def test_sec2_the_clients_of_before_take_the_addresses_of_that_day() -> None:
    OAuthClient.objects.create(name="x", token_url="https://t.test", client_id="x", client_secret=secret())
    migration: Any = importlib.import_module("mailboxes.migrations.0022_client_destinations")
    migration.give(apps, None)
    assert not OAuthClient.objects.get().is_astray


def test_sec13_an_administrators_link_does_not_survive_a_move() -> None:
    mailbox = make_mailbox()
    Mailbox.objects.filter(pk=mailbox.pk).update(category="tenant_smtp_disabled")
    token = administrator.token_for(Mailbox.objects.get(pk=mailbox.pk))
    assert administrator.read(token).mailbox == mailbox
    Mailbox.objects.filter(pk=mailbox.pk).update(workspace=make_workspace())
    with pytest.raises(administrator.BadLink):
        administrator.read(token)
