"""Consent at Google and Microsoft, end to end over real HTTP (SPEC C1, R2; FACTS A43 to A45, D18, D19)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from social_django.models import Code, Nonce, Partial, UserSocialAuth

from mailboxes.health.due import check_mailboxes
from mailboxes.models import AuditEntry, Credential, Mailbox, Trial
from mailboxes.reconnect.credentials import NewGrant, replace
from mailboxes.reconnect.oauth import flows
from mailboxes.reconnect.testing import run_trials
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.make import (
    START,
    Clock,
    make_account,
    make_member,
    make_outgoing,
    make_sandbox_mailbox,
    make_workspace,
    place_of,
    register,
)
from tests.pages.consent import begin, consent, decide
from tests.secrets import leaks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("network")]
HOST = "127.0.0.1"  # the provider knows our redirect addresses there
PROVIDERS = {"google": "google_workspace", "microsoft": "microsoft365"}


@pytest.fixture(params=list(PROVIDERS))
def provider(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    register(sandbox, request.param)
    return str(request.param)


def granted(sandbox: Sandbox, provider: str, account: Account | None = None) -> tuple[Mailbox, Account, Client]:
    """A mailbox with a grant that has ended, and its owner signed in."""
    mailbox, own = make_sandbox_mailbox(sandbox, provider=PROVIDERS[provider])
    grant = NewGrant(register(sandbox, provider), own.refresh_token, "mail")
    replace(mailbox, grant, acting_user=None, now=START)
    own.end_grants()
    client = Client(SERVER_NAME=HOST)
    client.force_login(make_member(mailbox.workspace))
    return mailbox, own, client


def nothing_changed(mailbox: Mailbox, version: int) -> bool:
    stored = Credential.objects.get(mailbox=mailbox)
    return stored.version == version and stored.identity == "" and not Trial.objects.exists()


def version_of(mailbox: Mailbox) -> int:
    return Credential.objects.values_list("version", flat=True).get(mailbox=mailbox)


def test_r2_a_consent_ends_in_the_round_trip_and_the_badge_clears(
    sandbox: Sandbox, provider: str, clock: Clock
) -> None:
    mailbox, account, client = granted(sandbox, provider)
    response = consent(client, provider, mailbox, account)
    trial = Trial.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/tests/{trial.pk}/")
    assert run_trials(10, make_outgoing(sandbox, clock)) == 1
    stored = Credential.objects.get(mailbox=mailbox)
    assert Mailbox.objects.get(pk=mailbox.pk).status == "connected"
    assert stored.refresh_token == account.refresh_token and stored.identity_name == account.sign_in
    assert stored.identity == (account.subject if provider == "google" else f"{account.tenant}:{account.subject}")


def test_r2_the_authorization_asks_for_pkce_consent_and_the_least_scopes(sandbox: Sandbox, provider: str) -> None:
    mailbox, _, client = granted(sandbox, provider)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begin(client, provider, mailbox)).query).items()}
    assert (asked["code_challenge_method"], asked["prompt"], asked["login_hint"]) == (
        "S256",
        "consent",
        mailbox.address,
    )
    assert asked["redirect_uri"] == f"http://{HOST}/oauth/{provider}/complete/"
    wanted = {
        "google": {"https://mail.google.com/", "openid", "email"},
        "microsoft": {
            "https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send",
            "offline_access", "openid", "email", "profile",
        },
    }  # fmt: skip
    assert set(asked["scope"].split()) == wanted[provider]
    assert asked.get("access_type") == ("offline" if provider == "google" else None)


def test_s1_no_token_enters_the_session_or_social_auth_and_nobody_is_made(
    sandbox: Sandbox, provider: str, clock: Clock
) -> None:
    mailbox, account, client = granted(sandbox, provider)
    users, key = User.objects.count(), client.session.session_key
    consent(client, provider, mailbox, account)
    run_trials(10, make_outgoing(sandbox, clock))
    assert not any(model.objects.exists() for model in (UserSocialAuth, Partial, Code, Nonce))
    assert (User.objects.count(), client.session.session_key) == (users, key)
    kept = [Session.objects.get(pk=key).get_decoded(), dict(client.session)]
    assert not leaks(str(kept)) and "token" not in str(kept)


def test_r2_another_identity_is_refused_naming_both_addresses(sandbox: Sandbox, provider: str) -> None:
    mailbox, _, client = granted(sandbox, provider)
    version, other = version_of(mailbox), make_account(sandbox)
    response = consent(client, provider, mailbox, other)
    text = response.content.decode()
    assert response.status_code == 400 and other.address in text and mailbox.address in text
    assert nothing_changed(mailbox, version)
    entry = AuditEntry.objects.get(action="consent refused")
    assert entry.mailbox_id == mailbox.pk and other.address in entry.detail


def test_r2_a_pinned_identity_stays_whatever_the_address_says(sandbox: Sandbox, provider: str, clock: Clock) -> None:
    mailbox, account, client = granted(sandbox, provider)
    consent(client, provider, mailbox, account)
    run_trials(10, make_outgoing(sandbox, clock))
    account.subject = "somebody-else-who-took-over-the-address"
    assert consent(client, provider, mailbox, account).status_code == 400
    assert version_of(mailbox) == Credential.objects.get(mailbox=mailbox).version
    assert Trial.objects.count() == 1


def test_r2_an_unticked_mail_permission_is_named(sandbox: Sandbox, provider: str) -> None:
    mailbox, account, client = granted(sandbox, provider)
    version = version_of(mailbox)
    response = consent(client, provider, mailbox, account, leave_out="mail.google" if provider == "google" else "SMTP")
    assert response.status_code == 400 and "A permission is missing" in response.content.decode()
    assert nothing_changed(mailbox, version)


def test_r2_no_refresh_token_and_none_stored_for_this_identity_is_refused(sandbox: Sandbox, provider: str) -> None:
    mailbox, account, client = granted(sandbox, provider)
    version = version_of(mailbox)
    account.consent = "no-refresh-token"
    assert "no lasting access" in consent(client, provider, mailbox, account).content.decode()
    assert nothing_changed(mailbox, version)


def test_r2_a_refresh_token_that_does_not_come_keeps_the_stored_one(
    sandbox: Sandbox, provider: str, clock: Clock
) -> None:
    mailbox, account, client = granted(sandbox, provider)
    consent(client, provider, mailbox, account)
    run_trials(10, make_outgoing(sandbox, clock))
    before = Credential.objects.get(mailbox=mailbox)
    account.consent = "no-refresh-token"
    assert consent(client, provider, mailbox, account).status_code == 302
    run_trials(10, make_outgoing(sandbox, clock))
    after = Credential.objects.get(mailbox=mailbox)
    assert after.refresh_token == before.refresh_token and after.access_token != before.access_token


@pytest.mark.parametrize(
    ("answer", "title"),
    [({"decision": "cancel"}, "You cancelled"), ({"consent": "admin"}, "An administrator has to allow it")],
)
def test_r2_cancel_and_admin_consent_have_pages_of_their_own(
    sandbox: Sandbox, provider: str, answer: dict[str, str], title: str
) -> None:
    mailbox, account, client = granted(sandbox, provider)
    version = version_of(mailbox)
    account.consent = answer.get("consent", "")
    response = consent(client, provider, mailbox, account, decision=answer.get("decision", "allow"))
    assert title in response.content.decode() and nothing_changed(mailbox, version)


def over(response: Any) -> bool:
    return response.status_code == 403 and "This sign-in is over" in response.content.decode()


def test_r2_a_replayed_answer_is_refused(sandbox: Sandbox, provider: str) -> None:
    mailbox, account, client = granted(sandbox, provider)
    back = decide(begin(client, provider, mailbox), account)
    assert client.get(back).status_code == 302
    assert over(client.get(back)) and Trial.objects.count() == 1


def test_r2_a_tampered_or_missing_state_is_refused(sandbox: Sandbox, provider: str) -> None:
    mailbox, account, client = granted(sandbox, provider)
    back = decide(begin(client, provider, mailbox), account)
    for bad in (re.sub(r"state=\w+", "state=" + "x" * 32, back), re.sub(r"&?state=\w+", "", back)):
        assert over(client.get(bad))
    assert client.get(back).status_code == 302, "the right answer still counts"


def test_r2_an_answer_stolen_into_another_session_is_refused(sandbox: Sandbox, provider: str) -> None:
    mailbox, account, client = granted(sandbox, provider)
    back = decide(begin(client, provider, mailbox), account)
    thief = Client(SERVER_NAME=HOST)
    thief.force_login(make_member(mailbox.workspace))
    assert over(thief.get(back)) and over(Client(SERVER_NAME=HOST).get(back))
    assert not Trial.objects.exists()


def test_r2_in_two_tabs_the_younger_one_counts(sandbox: Sandbox, provider: str, clock: Clock) -> None:
    first, account, client = granted(sandbox, provider)
    second, other = make_sandbox_mailbox(sandbox, provider=PROVIDERS[provider], workspace=first.workspace)
    older = decide(begin(client, provider, first), account)
    younger = decide(begin(client, provider, second), other)
    assert over(client.get(older))
    assert client.get(younger).status_code == 302
    assert Trial.objects.get().mailbox_id == second.pk


def test_r2_after_ten_minutes_a_consent_is_over(
    sandbox: Sandbox, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, account, client = granted(sandbox, provider)
    back = decide(begin(client, provider, mailbox), account)
    monkeypatch.setattr(flows, "VALID_FOR", flows.VALID_FOR * 0)
    assert over(client.get(back)) and not Trial.objects.exists()


def test_our_own_bad_secret_is_not_the_customers_fault(sandbox: Sandbox, provider: str) -> None:
    mailbox, account, client = granted(sandbox, provider)
    registered = register(sandbox, provider)
    registered.client_secret = "PmSecretXyz-wrong"
    registered.save()
    response = consent(client, provider, mailbox, account)
    assert response.status_code == 503 and "Our own registration" in response.content.decode()
    assert not leaks(response.content.decode())


def test_a_provider_that_cannot_be_reached_changes_nothing(
    sandbox: Sandbox, provider: str, settings: Any, network: Callable[[], None]
) -> None:
    mailbox, account, client = granted(sandbox, provider)
    back = decide(begin(client, provider, mailbox), account)
    registered = register(sandbox, provider)
    registered.token_url = registered.token_url.replace(str(sandbox.token_port), "1")
    registered.give_secret(registered.client_secret or "")
    registered.save()
    assert client.get(back).status_code == 502 and not Trial.objects.exists()


def test_a44_a_login_name_that_is_not_the_address_works(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account, client = granted(sandbox, "microsoft")
    account.sign_in = "upn-of-anna@tenant.test"
    consent(client, "microsoft", mailbox, account)
    run_trials(10, make_outgoing(sandbox, clock))
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.smtp_username, mailbox.imap_username) == (
        "connected", account.sign_in, account.sign_in,
    )  # fmt: skip


def test_a43_a_shared_mailbox_is_read_under_its_name_and_sent_from_as_the_person(
    sandbox: Sandbox, clock: Clock
) -> None:
    mailbox, shared, client = granted(sandbox, "microsoft")
    person = make_account(sandbox)
    shared.delegates.append(person)
    assert consent(client, "microsoft", mailbox, person).status_code == 400, "it has to be said first"
    assert consent(client, "microsoft", mailbox, person, sign_in_as="shared").status_code == 302
    run_trials(10, make_outgoing(sandbox, clock))
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.smtp_username, mailbox.imap_username) == (
        "connected", person.address, mailbox.address,
    )  # fmt: skip


def test_a45_a_person_without_rights_on_the_mailbox_is_found_out_by_the_test(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _, client = granted(sandbox, "microsoft")
    stranger = make_account(sandbox)
    consent(client, "microsoft", mailbox, stranger, sign_in_as="shared")
    run_trials(10, make_outgoing(sandbox, clock))
    assert Trial.objects.get().verdict == "refused"
    assert Credential.objects.get(mailbox=mailbox).identity == ""


def test_a10_nothing_is_revoked_by_a_reconnect(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account, client = granted(sandbox, "google")
    consent(client, "google", mailbox, account)
    run_trials(10, make_outgoing(sandbox, clock))
    assert account.seen["revocations"] == 0


def test_c1_a_new_mailbox_by_sign_in(
    sandbox: Sandbox, provider: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, account = make_workspace(), make_account(sandbox)
    client = Client(SERVER_NAME=HOST)
    client.force_login(make_member(workspace))
    # The presets name the real providers' servers; here they are the sandbox's.
    monkeypatch.setattr(flows, "preset_place", lambda name: place_of(account) | {"provider": name})
    start = client.post(
        f"/oauth/{provider}/start/", {"mailbox": 0, "workspace": workspace.pk, "address": account.address}
    )
    assert client.get(decide(start["Location"], account)).status_code == 302
    assert not Mailbox.objects.exists(), "only once it works"
    run_trials(10, make_outgoing(sandbox, clock))
    mailbox = Mailbox.objects.get(workspace=workspace)
    assert (mailbox.status, mailbox.provider, mailbox.credential.kind) == (
        "connected", PROVIDERS[provider], "oauth",
    )  # fmt: skip


def test_r2_the_pin_holds_however_the_consent_was_begun(sandbox: Sandbox, provider: str, clock: Clock) -> None:
    mailbox, account, client = granted(sandbox, provider)
    consent(client, provider, mailbox, account)
    run_trials(10, make_outgoing(sandbox, clock))
    account.subject = "somebody-else-who-took-over-the-address"
    new = {"mailbox": 0, "workspace": mailbox.workspace_id, "address": mailbox.address}
    start = client.post(f"/oauth/{provider}/start/", new)
    assert client.get(decide(start["Location"], account)).status_code == 400
    assert Trial.objects.count() == 1


def test_r2_an_identity_pinned_while_another_consent_is_tested_stays(
    sandbox: Sandbox, provider: str, clock: Clock
) -> None:
    mailbox, account, client = granted(sandbox, provider)
    consent(client, provider, mailbox, account)
    Credential.objects.filter(mailbox=mailbox).update(identity="pinned-meanwhile")
    run_trials(10, make_outgoing(sandbox, clock))
    assert Credential.objects.get(mailbox=mailbox).identity == "pinned-meanwhile"
    assert Trial.objects.get().kept_at is None


def test_s2_an_access_token_is_told_to_the_providers_servers_alone(
    sandbox: Sandbox, provider: str, clock: Clock
) -> None:
    mailbox, account, client = granted(sandbox, provider)
    registered = register(sandbox, provider)
    registered.mail_hosts = "smtp.gmail.com imap.gmail.com"
    registered.save()
    check_mailboxes([mailbox.pk], Source.CHECK, make_outgoing(sandbox, clock))
    assert account.seen["smtp logins"] == account.seen["imap logins"] == 0
    consent(client, provider, mailbox, account)
    place = Trial.objects.get().place
    assert place["smtp_host"] != mailbox.smtp_host, "the preset's, and not what somebody typed"


def test_a45_somebody_elses_mailbox_under_an_alias_is_not_taken_for_this_one(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _, client = granted(sandbox, "microsoft")
    stranger = make_account(sandbox)
    for host in ("smtp", "imap"):  # the stranger's own servers, where the login is right and the mailbox another
        place = getattr(stranger, host)
        Mailbox.objects.filter(pk=mailbox.pk).update(**{f"{host}_host": place.host, f"{host}_port": place.port})
    consent(client, "microsoft", Mailbox.objects.get(pk=mailbox.pk), stranger, sign_in_as="alias")
    run_trials(10, make_outgoing(sandbox, clock))
    trial = Trial.objects.get()
    assert (trial.verdict, trial.kept_at) == ("unsure", None) and "another one" in trial.note
    assert Credential.objects.get(mailbox=mailbox).identity == ""
