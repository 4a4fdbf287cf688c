"""What a customer reads and presses: list, banner, mailbox, removal, administrator's page, help (SPEC U1 to U6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mailboxes.diagnosis.categories import Category
from mailboxes.health.due import check_due, check_mailboxes
from mailboxes.health.evidence import Evidence
from mailboxes.health.record import record
from mailboxes.models import (
    AskedCheck,
    AuditEntry,
    CheckState,
    Credential,
    Failure,
    Mailbox,
    Membership,
    ReconnectRequest,
    StatusChange,
    Workspace,
)
from mailboxes.pages.help import CAUSES
from mailboxes.providers.presets import names
from mailboxes.reconnect import administrator, removal
from mailboxes.reconnect.credentials import NewGrant, Password, replace
from mailboxes.reconnect.requests import ask_to_reconnect
from mailboxes.reconnect.testing import run_trials
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from mailboxes.wire.values import Leg
from tests.make import (
    IMAP_REFUSED,
    REFUSED,
    START,
    TENANT_OFF,
    Clock,
    evidence,
    make_mailbox,
    make_member,
    make_outgoing,
    make_sandbox_mailbox,
    make_workspace,
    place_of,
    register,
    secret,
)

pytestmark = pytest.mark.django_db


def customer(workspace: Workspace) -> Client:
    client = Client()
    client.force_login(make_member(workspace))
    return client


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def broken(workspace: Workspace | None = None, **values: Any) -> Mailbox:
    mailbox = make_mailbox(workspace=workspace, **values)
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


def works(*mailboxes: Mailbox) -> list[Evidence]:
    return [evidence(mailbox, leg) for mailbox in mailboxes for leg in (Leg.SMTP, Leg.IMAP)]


def test_u1_the_banner_counts_and_leads_to_the_filter() -> None:
    workspace = make_workspace()
    sick, well = broken(workspace), make_mailbox(workspace=workspace)
    client = customer(workspace)
    whole = text(client.get("/mailboxes/"))
    assert "Reconnect Required" in whole and "View all mailboxes" in whole and "?needs=reconnect" in whole
    filtered = text(client.get("/mailboxes/?needs=reconnect"))
    assert sick.address in filtered and well.address not in filtered


def test_u1_the_list_costs_the_same_for_five_and_fifty_mailboxes() -> None:
    costs = []
    for count in (5, 50):
        workspace = make_workspace()
        for number in range(count):
            broken(workspace) if number % 2 else make_mailbox(workspace=workspace)
        client = customer(workspace)
        client.get("/mailboxes/")
        with CaptureQueriesContext(connection) as queries:
            client.get("/mailboxes/")
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 14


def test_u2_the_page_says_what_happened_and_the_one_action_and_the_exact_words() -> None:
    mailbox = broken(provider="gmail")
    page = text(customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/"))
    assert "refuses the password of" in page and "apppasswords" in page
    assert "535 5.7.8 Error: authentication failed" in page
    assert page.count("Update credentials</a>") == 1 and "Check again" in page
    assert "We never send an email" in page


def test_r1_a_grant_is_mended_by_signing_in(sandbox: Sandbox) -> None:
    mailbox = make_mailbox(provider="microsoft365")
    replace(mailbox, NewGrant(register(sandbox, "microsoft"), secret()), acting_user=None, now=START)
    mailbox = Mailbox.objects.get(pk=mailbox.pk)
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    page = text(customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/"))
    assert "Reconnect with Microsoft" in page and "/oauth/microsoft/start/" in page


def test_r1_a_tenants_switch_is_mended_by_its_administrator_and_not_by_signing_in_again(sandbox: Sandbox) -> None:
    mailbox = make_mailbox(provider="microsoft365")
    replace(mailbox, NewGrant(register(sandbox, "microsoft"), secret()), acting_user=None, now=START)
    mailbox = Mailbox.objects.get(pk=mailbox.pk)
    record([evidence(mailbox, Leg.SMTP, TENANT_OFF), evidence(mailbox, Leg.IMAP)], now=START)
    page = text(customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/"))
    assert "Reconnect with" not in page and "Check again" in page and "Authenticated SMTP" in page
    assert "mailto:" not in page and "<code>Set-TransportConfig" in page


def test_r1_where_we_are_not_registered_the_form_is_the_way() -> None:
    mailbox = make_mailbox(provider="microsoft365")
    basic = (TENANT_OFF[0], "535 5.7.139", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.")
    record([evidence(mailbox, Leg.SMTP, basic)], now=START)
    page = text(customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/"))
    assert "/oauth/" not in page and "Update credentials</a>" in page


def test_u3_check_again_tells_its_limit() -> None:
    mailbox = broken()
    client = customer(mailbox.workspace)
    for _ in range(5):
        client.post(f"/mailboxes/{mailbox.pk}/check/")
        AskedCheck.objects.update(done_at=START)
    page = client.post(f"/mailboxes/{mailbox.pk}/check/", follow=True).content.decode()
    assert "Too many checks of this mailbox: try again in" in page
    assert AskedCheck.objects.count() == 5


def test_r4_the_page_follows_a_check_without_a_reload(sandbox: Sandbox, clock: Clock) -> None:
    mailbox = broken()
    client = customer(mailbox.workspace)
    client.post(f"/mailboxes/{mailbox.pk}/check/")
    live = f"/mailboxes/{mailbox.pk}/live/"
    assert f'hx-get="{live}"' in text(client.get(live))
    AskedCheck.objects.update(done_at=START)
    assert "hx-get" not in text(client.get(live))


def test_a5_what_support_asks_for_stands_in_the_banner_until_it_is_done(support: User) -> None:
    mailbox = make_mailbox()
    ask_to_reconnect(mailbox, note="The new password, please.", acting_user=support, now=START)
    ask_to_reconnect(mailbox, note="As we said on the phone.", acting_user=support, now=START)
    client = customer(mailbox.workspace)
    assert "As we said on the phone." in text(client.get("/mailboxes/"))
    assert "Support asks you to reconnect" in text(client.get(f"/mailboxes/{mailbox.pk}/"))
    replace(mailbox, Password(secret()), acting_user=None, now=START)
    assert "Support asks" not in text(client.get("/mailboxes/"))
    assert ReconnectRequest.objects.count() == 1


def test_u6_while_you_were_away_says_what_stopped_and_what_resumed() -> None:
    workspace = make_workspace()
    client = customer(workspace)
    stopped, resumed = make_mailbox(workspace=workspace), make_mailbox(workspace=workspace)
    record(works(stopped, resumed), now=START)
    at = START + timedelta(minutes=1)
    record([evidence(resumed, Leg.SMTP, REFUSED, at=at), evidence(resumed, Leg.IMAP, IMAP_REFUSED, at=at)], now=at)
    StatusChange.objects.update(at=START - timedelta(days=3))
    client.get("/mailboxes/")
    Membership.objects.update(visited_at=START)
    at = START + timedelta(hours=1)
    record([evidence(stopped, Leg.SMTP, REFUSED, at=at), evidence(stopped, Leg.IMAP, IMAP_REFUSED, at=at)], now=at)
    record([evidence(resumed, Leg.SMTP, at=at), evidence(resumed, Leg.IMAP, at=at)], now=at)
    page = text(client.get("/mailboxes/"))
    away = page.partition("While you were away")[2].partition("</section>")[0]
    assert stopped.address in away.partition("Back at work")[0]
    assert resumed.address in away.partition("Back at work")[2]


def test_an_empty_workspace_says_how_to_begin() -> None:
    page = text(customer(make_workspace()).get("/mailboxes/"))
    assert "Connect the first one" in page and "Reconnect Required" not in page


# ---- removal (C9)


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
    client.save()
    outgoing = make_outgoing(sandbox, clock)
    removal.remove(mailbox, acting_user=make_member(mailbox.workspace), now=clock())
    assert removal.revoke_waiting(outgoing) == 0 and Credential.objects.filter(mailbox=mailbox).exists()
    assert not removal.waiting(clock()).exists(), "not asked again at once"
    clock.move(minutes=61)
    assert removal.revoke_waiting(outgoing) == 1 and not Credential.objects.filter(mailbox=mailbox).exists()


# ---- the administrator's page (R8)


def tenant_off(**values: Any) -> Mailbox:
    mailbox = make_mailbox(provider="microsoft365", **values)
    record([evidence(mailbox, Leg.SMTP, TENANT_OFF), evidence(mailbox, Leg.IMAP)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


def link(mailbox: Mailbox) -> str:
    return reverse("administrator", args=[administrator.token_for(mailbox)])


def test_r8_the_link_shows_the_steps_without_a_login_and_nothing_else() -> None:
    mailbox = tenant_off(address="anna@northwind.test")
    offered = text(customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/"))
    assert "/administrator/" in offered
    response = Client().get(link(mailbox))
    page = text(response)
    assert "Authenticated SMTP" in page and "Does not work yet" in page
    for hidden in (mailbox.workspace.name, mailbox.smtp_host, mailbox.imap_host, "535", f"/mailboxes/{mailbox.pk}/"):
        assert hidden not in page
    assert (response["Referrer-Policy"], response["X-Robots-Tag"]) == ("no-referrer", "noindex")


def test_r8_it_works_now_is_told() -> None:
    mailbox = tenant_off()
    url = link(mailbox)
    at = START + timedelta(minutes=1)
    record([evidence(mailbox, Leg.SMTP, at=at), evidence(mailbox, Leg.IMAP, at=at)], now=at)
    assert "It works now" in text(Client().get(url))


def test_r8_check_again_needs_no_login_and_has_a_limit() -> None:
    mailbox = tenant_off()
    for _ in range(10):
        assert Client().post(link(mailbox)).status_code == 302
        AskedCheck.objects.update(done_at=START)
    response = Client().post(link(mailbox))
    assert response.status_code == 429 and "Too many checks" in response.content.decode()
    assert AskedCheck.objects.count() == 10
    assert AuditEntry.objects.filter(actor__isnull=True, mailbox=mailbox).count() >= 10


def test_r8_a_changed_or_old_link_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = tenant_off()
    token = administrator.token_for(mailbox)
    for bad in (
        token[:-2],
        token + "x",
        "x",
        administrator.token_for(Mailbox(pk=999, category="tenant_smtp_disabled")),
    ):
        assert Client().get(reverse("administrator", args=[bad])).status_code == 404
    monkeypatch.setattr(administrator, "VALID_FOR", timedelta(seconds=-1))
    over = Client().get(reverse("administrator", args=[token]))
    assert over.status_code == 404 and "This link is over" in over.content.decode()


def test_r8_a_wrong_password_is_nothing_for_an_administrator() -> None:
    mailbox = broken()
    assert "/administrator/" not in text(customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/"))


def test_h10_the_tenants_badges_clear_at_the_probes_pass(sandbox: Sandbox, clock: Clock) -> None:

    workspace = make_workspace()
    both = [
        make_sandbox_mailbox(sandbox, faults()["tenant-smtp-off"], workspace=workspace, tenant="northwind.test")
        for _ in range(2)
    ]
    outgoing = make_outgoing(sandbox, clock)
    check_mailboxes([mailbox.pk for mailbox, _ in both], Source.CHECK, outgoing)
    assert Mailbox.objects.needing_reconnect().count() == 2
    for _, account in both:
        sandbox.set_fault(account.address, NO_FAULT)

    clock.move(seconds=45)
    assert check_due(10, outgoing) == 1, "the tenant's probe alone"
    assert check_due(10, outgoing) == 1, "the others at once after it"
    assert not Mailbox.objects.needing_reconnect().exists()


# ---- help (U4)


@pytest.mark.parametrize("category", [category.value for category in CAUSES])
def test_u4_each_cause_has_its_page(category: str) -> None:
    assert "What to do" in text(Client().get(f"/help/{category}/"))


@pytest.mark.parametrize("provider", [value for value, _ in names()])
def test_u4_each_provider_has_its_page(provider: str) -> None:
    assert "How it is connected" in text(Client().get(f"/help/providers/{provider}/"))


def test_u4_the_other_help_pages_answer_and_unknown_ones_do_not() -> None:
    for place in ("/help/", "/help/prepare/", "/help/pop-ups/", "/help/timeout/?provider=gmail"):
        text(Client().get(place))
    for place in ("/help/nonsense/", f"/help/{Category.UNKNOWN.value}/", "/help/providers/nonsense/"):
        assert Client().get(place).status_code == 404
