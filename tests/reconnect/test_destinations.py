"""A secret goes only where it was given for, by whatever form or statement (SPEC S7; SEC-1, SEC-2, SEC-13)."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.test import Client
from django.urls import reverse

from mailboxes.admin.forms import MailboxForm
from mailboxes.health.due import check_mailboxes
from mailboxes.models import AuditEntry, Credential, Mailbox, OAuthClient
from mailboxes.models.destination import destination_of, is_given_for
from mailboxes.reconnect.credentials import Password, replace
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.faults import faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.make import (
    Clock,
    make_account,
    make_mailbox,
    make_oauth_client,
    make_outgoing,
    make_sandbox_mailbox,
    make_workspace,
    secret,
)
from tests.pages.customers import customer

pytestmark = pytest.mark.django_db
OTHERS = [
    {"smtp_host": "smtp.attacker.test"},
    {"imap_host": "imap.attacker.test"},
    {"smtp_username": "attacker"},
    {"imap_username": "attacker"},
]


def settings_of(mailbox: Mailbox) -> dict[str, Any]:
    names = [name for name in MailboxForm.base_fields if not name.startswith("new_")]
    values = {name: getattr(mailbox, name) for name in names}
    return {name: value for name, value in values.items() if value is not False} | {"workspace": mailbox.workspace_id}


def there(account: Account) -> dict[str, Any]:
    assert account.smtp and account.imap
    return {
        "smtp_host": account.smtp.host,
        "smtp_port": account.smtp.port,
        "imap_host": account.imap.host,
        "imap_port": account.imap.port,
    }


@pytest.mark.parametrize("changed", OTHERS)
def test_sec1_the_admins_form_refuses_another_server_or_user_name(
    support_client: Client, changed: dict[str, str]
) -> None:
    mailbox = make_mailbox()
    page = reverse("admin:mailboxes_mailbox_change", args=[mailbox.pk])
    answer = support_client.post(page, settings_of(mailbox) | changed)
    assert answer.status_code == 200
    assert "A changed server needs the password again" in answer.content.decode()
    [(name, value)] = changed.items()
    mailbox.refresh_from_db()
    assert getattr(mailbox, name) != value


def test_sec1_port_and_security_may_change_on_the_same_host(support_client: Client) -> None:
    mailbox = make_mailbox()
    page = reverse("admin:mailboxes_mailbox_change", args=[mailbox.pk])
    answer = support_client.post(page, settings_of(mailbox) | {"smtp_port": 587, "smtp_security": "starttls"})
    assert answer.status_code == 302
    mailbox.refresh_from_db()
    assert (mailbox.smtp_port, mailbox.smtp_security) == (587, "starttls")


def test_sec13_a_mailbox_never_changes_its_workspace(support_client: Client) -> None:
    mailbox, other = make_mailbox(), make_workspace()
    page = reverse("admin:mailboxes_mailbox_change", args=[mailbox.pk])
    support_client.post(page, settings_of(mailbox) | {"workspace": other.pk})
    mailbox.refresh_from_db()
    assert mailbox.workspace_id != other.pk


@pytest.mark.parametrize("through", ["hosts", "workspace"])
def test_s7_whatever_changed_the_row_the_new_server_is_told_nothing_and_nobody_is_flagged(
    sandbox: Sandbox, clock: Clock, through: str
) -> None:
    """No form is asked here: the comparison stands where the secret leaves for the wire."""
    mailbox, account = make_sandbox_mailbox(sandbox)
    outgoing, other = make_outgoing(sandbox, clock), make_account(sandbox)
    check_mailboxes([mailbox.pk], Source.CHECK, outgoing)
    assert account.seen["smtp logins"] == 1
    changed = there(other) if through == "hosts" else {"workspace": make_workspace()}
    Mailbox.objects.filter(pk=mailbox.pk).update(**changed)
    clock.move(hours=2)
    check_mailboxes([mailbox.pk], Source.CHECK, outgoing)
    assert (other.seen["smtp connections"], other.seen["imap connections"], account.seen["smtp logins"]) == (0, 0, 1)
    found = Mailbox.objects.get(pk=mailbox.pk)
    assert (found.status, found.needs_reconnect, found.check_state.next_check_at) == ("connected", False, None)


def test_s7_a_secret_given_for_the_new_server_goes_there(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _account = make_sandbox_mailbox(sandbox)
    other = make_account(sandbox)
    Mailbox.objects.filter(pk=mailbox.pk).update(
        **there(other), smtp_username=other.address, imap_username=other.address
    )
    replace(mailbox, Password(other.password), acting_user=None, now=clock.now)
    check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
    assert (other.seen["smtp logins"], other.seen["imap logins"]) == (1, 1)


def test_s7_a_second_password_alone_takes_the_first_nowhere_else(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _account = make_sandbox_mailbox(sandbox)
    other = make_account(sandbox)
    Mailbox.objects.filter(pk=mailbox.pk).update(**there(other))
    replace(mailbox, Password(None, secret()), acting_user=None, now=clock.now)
    check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
    assert (other.seen["smtp connections"], other.seen["imap connections"]) == (0, 0)


def test_sec2_a_grant_is_refreshed_at_its_own_token_address_alone(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, _oauth())
    OAuthClient.objects.update(token_url="https://evil.example.test/token")
    check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
    assert account.seen["refreshes"] == 0
    assert Mailbox.objects.get(pk=mailbox.pk).status == "unverified"


def _oauth() -> Any:
    return next(fault for fault in faults().values() if "oauth" in fault.needs)


def test_s7_the_owner_reads_what_to_do() -> None:
    mailbox = make_mailbox()
    Mailbox.objects.filter(pk=mailbox.pk).update(smtp_host="smtp.elsewhere.test")
    page = customer(mailbox.workspace).get(reverse("mailbox", args=[mailbox.pk])).content.decode()
    assert "enter the password again" in page and "Update credentials" in page


def client_values(client: OAuthClient, **changed: str) -> dict[str, str]:
    names = ("name", "client_id", "authorize_url", "token_url", "identity_url", "revoke_url", "scopes", "mail_hosts")
    return {name: getattr(client, name) for name in names} | changed


def test_sec2_the_addresses_of_google_are_facts(support_client: Client, settings: Any) -> None:
    settings.MAIL_ALLOWED_NETWORKS = ()
    add = reverse("admin:mailboxes_oauthclient_add")
    evil = {"token_url": "https://evil.example/token", "mail_hosts": "evil.example"}
    support_client.post(add, {"name": "google", "client_id": "id", "new_secret": secret(), **evil})
    made = OAuthClient.objects.get()
    assert (made.token_url, made.mail_hosts) == ("https://oauth2.googleapis.com/token", "smtp.gmail.com imap.gmail.com")
    assert AuditEntry.objects.filter(action="OAuth client added").count() == 1


@pytest.mark.parametrize("name", ["token_url", "revoke_url", "identity_url", "authorize_url", "mail_hosts"])
def test_sec2_another_address_needs_the_client_secret_anew(sandbox: Sandbox, support_client: Client, name: str) -> None:
    client = make_oauth_client(sandbox)
    page = reverse("admin:mailboxes_oauthclient_change", args=[client.pk])
    evil = "evil.example" if name == "mail_hosts" else "https://evil.example/x"
    answer = support_client.post(page, client_values(client, **{name: evil}))
    assert answer.status_code == 200 and "needs the client secret again" in answer.content.decode()
    assert getattr(OAuthClient.objects.get(pk=client.pk), name) != evil
    answer = support_client.post(page, client_values(client, **{name: evil, "new_secret": secret()}))
    assert answer.status_code == 302
    entry = AuditEntry.objects.get(action="OAuth client changed")
    assert entry.target == "sandbox" and f"→ {evil}" in entry.detail


def test_sec2_no_address_is_plain_http(sandbox: Sandbox, support_client: Client) -> None:
    client = make_oauth_client(sandbox)
    page = reverse("admin:mailboxes_oauthclient_change", args=[client.pk])
    bad = client_values(client, authorize_url="http://evil.example/", new_secret=secret())
    assert "Must begin with https://" in support_client.post(page, bad).content.decode()


def test_s7_every_form_that_writes_a_server_asks_for_its_secret() -> None:
    """A form that can write one of these columns is one of those that these tests know."""
    names = {"smtp_host", "imap_host", "smtp_username", "imap_username", "token_url"}
    known = {"MailboxForm", "CredentialsForm", "OAuthClientForm"}
    found = {form.__name__ for form in _all(forms.BaseForm) if names & set(getattr(form, "base_fields", {}))}
    assert {name for name in found if not name.startswith(("Test", "_"))} - known <= {"MailboxFormForm"} | known


def _all(form: type) -> set[type]:
    below: set[type] = set(form.__subclasses__())
    return below | {deeper for one in below for deeper in _all(one)}


@pytest.mark.parametrize("leg", ["smtp", "imap"])
def test_s7_a_leg_that_is_not_wanted_asks_for_nothing(leg: str) -> None:
    place = {
        "workspace_id": 1, "address": "a@b.test", "smtp_host": "s", "smtp_username": "", "imap_host": "i",
        "imap_username": "", "wants_smtp": True, "wants_imap": True,
    }  # fmt: skip
    given = destination_of(place)
    assert is_given_for(given, place | {"smtp_port": 587})
    moved = place | {f"{leg}_host": "elsewhere"}
    assert not is_given_for(given, moved)
    assert is_given_for(given, moved | {f"wants_{leg}": False})
    assert Credential._meta.get_field("destination").editable is False
