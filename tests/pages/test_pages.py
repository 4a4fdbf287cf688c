"""What a customer reads and presses: list, banner, mailbox, removal, administrator's page, help (SPEC U1 to U6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mailboxes.diagnosis.categories import Category
from mailboxes.health.evidence import Evidence
from mailboxes.health.record import record
from mailboxes.models import (
    AskedCheck,
    Mailbox,
    Membership,
    ReconnectRequest,
    StatusChange,
)
from mailboxes.pages.help import CAUSES
from mailboxes.providers.presets import names
from mailboxes.reconnect.credentials import NewGrant, Password, replace
from mailboxes.reconnect.requests import ask_to_reconnect
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg
from tests.make import (
    IMAP_REFUSED,
    REFUSED,
    START,
    TENANT_OFF,
    Clock,
    evidence,
    make_mailbox,
    make_workspace,
    refuse,
    register,
    secret,
)
from tests.pages.customers import broken, customer, text

pytestmark = pytest.mark.django_db


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
    assert costs[0] == costs[1] <= 17


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
    refuse(resumed, at=at)
    StatusChange.objects.update(at=START - timedelta(days=3))
    client.get("/mailboxes/")
    Membership.objects.update(visited_at=START)
    at = refuse(stopped, at=START + timedelta(hours=1))
    record([evidence(resumed, Leg.SMTP, at=at), evidence(resumed, Leg.IMAP, at=at)], now=at)
    page = text(client.get("/mailboxes/"))
    away = page.partition("While you were away")[2].partition("</section>")[0]
    assert stopped.address in away.partition("Back at work")[0]
    assert resumed.address in away.partition("Back at work")[2]


def test_an_empty_workspace_says_how_to_begin() -> None:
    page = text(customer(make_workspace()).get("/mailboxes/"))
    assert "Connect the first one" in page and "Reconnect Required" not in page


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


@pytest.mark.parametrize(
    "place", ["/mailboxes/?workspace=²", "/connect/?workspace=²&address=a@b.test", "/mailboxes/?page=²"]
)
def test_a_number_that_is_none_is_answered_politely(place: str) -> None:
    assert customer(make_workspace()).get(place).status_code == 200
