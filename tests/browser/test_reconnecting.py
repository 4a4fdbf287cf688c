"""The four ways back to work, as a customer meets them in a browser (SPEC R1, R2, R4, R8, C6, H10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.health.due import check_due, check_mailboxes
from mailboxes.models import Credential, Mailbox, Workspace
from mailboxes.reconnect.credentials import NewGrant, replace
from mailboxes.reconnect.testing import run_trials
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.browser.conftest import aside
from tests.make import START, Clock, make_member, make_outgoing, make_sandbox_mailbox, make_workspace, register, secret

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser-ways"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("network"),
]
SHORT_MS = 8000


@pytest.fixture
def browse(request: pytest.FixtureRequest, browser: Any, live_server: Any) -> Callable[..., Any]:
    """A page signed in as this user; without JavaScript on request."""

    def page_of(user: User | None, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": 390, "height": 844}, **options)
        request.addfinalizer(context.close)
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
            context.add_cookies([cookie])
        page = context.new_page()
        page.set_default_timeout(SHORT_MS)
        return page

    return page_of


def checked(sandbox: Sandbox, clock: Clock, *mailboxes: Mailbox) -> None:
    ids = [mailbox.pk for mailbox in mailboxes]
    aside(lambda: check_mailboxes(ids, Source.CHECK, make_outgoing(sandbox, clock)))


def with_grant(sandbox: Sandbox, clock: Clock) -> tuple[Mailbox, Account]:
    """A Microsoft mailbox that worked until its grant was revoked."""
    mailbox, account = make_sandbox_mailbox(sandbox, provider="microsoft365")
    grant = NewGrant(register(sandbox, "microsoft"), account.refresh_token, "mail")
    replace(mailbox, grant, acting_user=None, now=START)
    account.end_grants()
    checked(sandbox, clock, mailbox)
    return Mailbox.objects.get(pk=mailbox.pk), account


def badge(page: Any, words: str) -> Any:
    return page.locator(".badge", has_text=words).first


def test_r2_a_revoked_microsoft_grant_is_mended_in_two_clicks(
    browse: Callable[..., Any], live_server: Any, sandbox: Sandbox, clock: Clock
) -> None:
    mailbox, _ = with_grant(sandbox, clock)
    assert mailbox.category == "oauth_revoked"
    page = browse(make_member(mailbox.workspace))
    page.goto(f"{live_server.url}/mailboxes/{mailbox.pk}/")
    assert badge(page, "Reconnect required").is_visible()
    page.get_by_role("button", name="Reconnect with Microsoft").click()
    assert page.get_by_label("Account").input_value() == mailbox.address
    page.get_by_role("button", name="Allow").click()
    page.get_by_text("Testing. Nothing is changed until it passes.").wait_for()
    assert "code=" not in page.url
    assert run_trials(10, make_outgoing(sandbox, clock)) == 1
    page.get_by_text("It works, and is saved.").wait_for()
    assert badge(page, "Connected").is_visible()
    page.goto(f"{live_server.url}/mailboxes/?needs=reconnect")
    assert page.get_by_text("No mailbox needs a reconnect").is_visible()


def google(sandbox: Sandbox, clock: Clock) -> tuple[Mailbox, Account]:
    """A Google mailbox that wants an app password."""
    mailbox, account = make_sandbox_mailbox(sandbox, faults()["app-password-wanted"])
    account.mends = "pmsecretxyzabcde"
    checked(sandbox, clock, mailbox)
    return Mailbox.objects.get(pk=mailbox.pk), account


def test_r1_a_google_app_password_is_one_form(
    browse: Callable[..., Any], live_server: Any, sandbox: Sandbox, clock: Clock, network: Callable[[], None]
) -> None:
    mailbox, account = google(sandbox, clock)
    network()
    page = browse(make_member(mailbox.workspace))
    page.goto(f"{live_server.url}/mailboxes/{mailbox.pk}/")
    page.get_by_role("link", name="Update credentials", exact=True).first.click()
    page.get_by_label("Password or app password").fill("pmse cret xyza bcde")
    page.get_by_role("button", name="Test and save").click()
    page.get_by_text("Testing.").wait_for()
    run_trials(10, make_outgoing(sandbox, clock))
    page.get_by_text("It works, and is saved.").wait_for()
    assert badge(page, "Connected").is_visible()
    assert Credential.objects.get(mailbox=mailbox).password == account.password == "pmsecretxyzabcde"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_c6_a_wrong_password_gets_a_diagnosis_and_the_old_one_stays(
    browse: Callable[..., Any], live_server: Any, sandbox: Sandbox, clock: Clock, network: Callable[[], None],
    scripts: bool,
) -> None:  # fmt: skip
    mailbox, _ = make_sandbox_mailbox(sandbox)
    checked(sandbox, clock, mailbox)
    network()
    before = Credential.objects.get(mailbox=mailbox)
    page = browse(make_member(mailbox.workspace), java_script_enabled=scripts)
    page.goto(f"{live_server.url}/mailboxes/{mailbox.pk}/credentials/")
    page.get_by_label("Password or app password").fill(secret())
    page.get_by_role("button", name="Test and save").click()
    page.get_by_text("Testing.").wait_for()
    run_trials(10, make_outgoing(sandbox, clock))
    page.get_by_text("It does not work like this. Nothing was changed.").wait_for()
    assert page.get_by_text("refuses the password of").first.is_visible()
    assert page.get_by_text("Server name resolves").first.is_visible()
    after = Credential.objects.get(mailbox=mailbox)
    assert (after.version, after.password) == (before.version, before.password)
    assert Mailbox.objects.get(pk=mailbox.pk).status == "connected"


def test_c4_a_warning_keeps_the_typed_password_in_the_page(
    browse: Callable[..., Any], live_server: Any, sandbox: Sandbox, network: Callable[[], None]
) -> None:
    mailbox, _ = make_sandbox_mailbox(sandbox)
    network()
    page = browse(make_member(mailbox.workspace))
    page.goto(f"{live_server.url}/mailboxes/{mailbox.pk}/credentials/")
    typed = " " + secret()
    page.get_by_label("Password or app password").fill(typed)
    page.get_by_role("button", name="Test and save").click()
    page.get_by_text("There is a space before or after the password").wait_for()
    assert page.get_by_label("Password or app password").input_value() == typed
    page.get_by_role("button", name="Test and save").click()
    page.get_by_text("Testing.").wait_for()


def tenant(sandbox: Sandbox, clock: Clock, workspace: Workspace) -> list[tuple[Mailbox, Account]]:
    """Three mailboxes of one Microsoft 365 tenant, sending switched off for all of it."""
    all_of_it = [
        make_sandbox_mailbox(sandbox, faults()["tenant-smtp-off"], workspace=workspace, tenant="northwind.test")
        for _ in range(3)
    ]
    checked(sandbox, clock, *(mailbox for mailbox, _ in all_of_it))
    clock.move(seconds=75)  # H4: refused once more before it is certain
    checked(sandbox, clock, *(mailbox for mailbox, _ in all_of_it))
    return all_of_it


def test_r8_the_administrators_page_and_one_setting_clear_all_badges_of_the_tenant(
    browse: Callable[..., Any], live_server: Any, sandbox: Sandbox, clock: Clock, settings: Any
) -> None:
    settings.PUBLIC_URL = live_server.url
    workspace = make_workspace()
    everybody = tenant(sandbox, clock, workspace)
    page = browse(make_member(workspace))
    page.goto(f"{live_server.url}/mailboxes/{everybody[1][0].pk}/")
    address = page.get_by_label("Address for your administrator").input_value()
    administrator = browse(None)
    administrator.goto(address)
    assert administrator.get_by_text("Authenticated SMTP").is_visible()
    for _, account in everybody:
        sandbox.set_fault(account.address, NO_FAULT)  # the setting is switched on
    clock.move(seconds=45)  # the tenant's probe is due, and its pass makes the others due at once
    outgoing = make_outgoing(sandbox, clock)
    assert [aside(lambda: check_due(10, outgoing)) for _ in range(3)] == [1, 2, 0]
    administrator.reload()
    assert badge(administrator, "It works now").is_visible()
    page.goto(f"{live_server.url}/mailboxes/")
    assert page.locator(".badge", has_text="Connected").count() == 3
    assert not page.get_by_text("Reconnect Required").is_visible()


def test_a5_staff_run_the_consent_in_their_own_session(
    browse: Callable[..., Any], live_server: Any, sandbox: Sandbox, clock: Clock, support: User
) -> None:
    mailbox, _ = with_grant(sandbox, clock)
    page = browse(support)
    page.goto(f"{live_server.url}/admin/mailboxes/mailbox/{mailbox.pk}/change/")
    page.get_by_role("button", name="Reconnect with Microsoft").click()
    page.get_by_role("button", name="Allow").click()
    page.get_by_text("You act as staff for").wait_for()
    run_trials(10, make_outgoing(sandbox, clock))
    page.get_by_text("It works, and is saved.").wait_for()
    page.get_by_role("link", name="Back to the mailbox in the admin").click()
    page.get_by_text("All wanted connections work.").wait_for()
    assert page.get_by_text("Credential test asked").first.is_visible()
