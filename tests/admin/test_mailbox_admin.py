"""The admin: list, page, deeds, forms (SPEC A1 to A4, C2, C3, S1 to S3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailboxes.health import asked
from mailboxes.health.record import record
from mailboxes.models import AskedCheck, AuditEntry, CheckState, Credential, Mailbox, StaffAlarm
from mailboxes.wire.values import Leg
from tests.make import (
    BAD_CERTIFICATE,
    IMAP_REFUSED,
    REFUSED,
    START,
    evidence,
    make_mailbox,
    make_workspace,
    refuse,
    secret,
)
from tests.secrets import leaks

pytestmark = pytest.mark.django_db
LIST = "/admin/mailboxes/mailbox/"


def broken(**values: Any) -> Mailbox:
    mailbox = make_mailbox(**values)
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


def working(**values: Any) -> Mailbox:
    mailbox = make_mailbox(**values)
    record([evidence(mailbox, leg) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


def page(mailbox: Mailbox) -> str:
    return reverse("admin:mailboxes_mailbox_change", args=[mailbox.pk])


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_a1_the_badge_is_the_way_to_the_action(support_client: Client) -> None:
    mailbox = broken()
    shown = text(support_client, LIST)
    assert f'<a class="pm-badge pm-red" href="{page(mailbox)}"' in shown
    assert "Wrong password or login" in shown
    assert "Customer" in shown


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("needs=reconnect", "broken"), ("needs=nothing", "working"), ("category=auth_failed", "broken"),
        ("actor=customer", "broken"), ("provider=gmail", "broken"), ("status__exact=connected", "working"),
        ("held=no", "broken working"), ("q=brok", "broken"), ("q=@work.test", "working"),
        ("q=%40broken.test", "broken"),
    ],
)  # fmt: skip
def test_a1_filters_and_search(support_client: Client, query: str, found: str) -> None:
    broken(address="broken@broken.test", provider="gmail")
    working(address="working@work.test")
    shown = text(support_client, f"{LIST}?{query}")
    assert [name for name in ("broken", "working") if f"{name}@" in shown] == found.split()


def test_a1_the_filter_of_workspaces_does_not_list_them_all(support_client: Client) -> None:
    mine, other = working(), working()
    shown = text(support_client, f"{LIST}?workspace__id__exact={mine.workspace_id}")
    assert mine.address in shown and other.address not in shown
    assert other.workspace.name not in text(support_client, f"{LIST}?q=nothing-like-it")


def test_a1_settings_faults_are_counted_apart(support_client: Client) -> None:
    mailbox = working()
    for minute in (1, 12):
        at = START + timedelta(minutes=minute)
        record([evidence(mailbox, Leg.SMTP, BAD_CERTIFICATE, at=at)], now=at)
    assert mailbox.address in text(support_client, f"{LIST}?needs=settings")
    assert mailbox.address not in text(support_client, f"{LIST}?needs=reconnect")
    assert "Check settings" in text(support_client, "/admin/")


def test_a2_banner_and_number_in_the_navigation(support_client: Client) -> None:
    broken(), broken(), working()
    shown = text(support_client, "/admin/")
    assert "2 mailboxes can neither send" in shown
    assert f'href="{LIST}?needs=reconnect"' in shown


def test_a2_without_a_broken_mailbox_there_is_no_alarm(support_client: Client) -> None:
    working()
    assert "No mailbox needs a reconnect" in text(support_client, "/admin/")


def test_a2_without_any_mailbox_the_first_step_is_shown(support_client: Client) -> None:
    assert "Add a mailbox" in text(support_client, "/admin/")


def test_a4_the_page_shows_diagnosis_words_legs_and_history(support_client: Client) -> None:
    mailbox = broken(provider="gmail")
    shown = text(support_client, page(mailbox))
    for expected in (
        "refuses the password", "Update credentials", "535 5.7.8 Error", "SMTP (sends)", "smtp-auth-refused",
        "Not verified", "Reconnect required", "apppasswords", "In no campaign.",
    ):  # fmt: skip
        assert expected in shown


def test_d4_a_hostile_reply_is_escaped(support_client: Client) -> None:
    mailbox = make_mailbox()
    hostile = (REFUSED[0], "535", "535 5.7.8 <script>alert(1)</script>")
    record([evidence(mailbox, Leg.SMTP, hostile), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    assert "<script>alert(1)" not in text(support_client, page(mailbox))


def test_s1_no_page_shows_a_secret(support_client: Client) -> None:
    mailbox = broken()
    for url in (LIST, page(mailbox), "/admin/", "/admin/mailboxes/auditentry/", f"{LIST}add/"):
        assert leaks(text(support_client, url)) == []


def query_count(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get(url)
    return len(captured)


@pytest.mark.parametrize("url", [LIST, f"{LIST}?needs=reconnect", "/admin/", "/admin/mailboxes/statuschange/"])
def test_a1_a_list_costs_the_same_queries_for_5_and_25_rows(support_client: Client, url: str) -> None:
    for _ in range(5):
        broken()
    support_client.get(url)
    few = query_count(support_client, url)
    for _ in range(20):
        broken()
    assert query_count(support_client, url) == few


def test_a3_check_now_for_one_asks_once(support_client: Client, support: User) -> None:
    mailbox = broken()
    for _click in range(2):
        assert support_client.post(f"{LIST}{mailbox.pk}/check/").status_code == 302
    assert AskedCheck.objects.get().asked_by == support
    assert "A check is under way" in text(support_client, page(mailbox))


def test_a3_check_now_for_many(support_client: Client) -> None:
    ids = [broken().pk for _ in range(3)]
    support_client.post(LIST, {"action": "check_now", "_selected_action": ids})
    assert AskedCheck.objects.count() == 3
    assert text(support_client, LIST).count("under way…") == 3


def test_a3_the_result_of_an_asked_check_refreshes_the_page(support_client: Client) -> None:
    mailbox = broken()
    asked.ask([mailbox.pk], acting_user=None, now=timezone.now())
    fragment = f"{LIST}{mailbox.pk}/asked/?waiting=1"
    assert "HX-Refresh" not in support_client.get(fragment)
    AskedCheck.objects.update(done_at=timezone.now(), status="connected")
    assert support_client.get(fragment)["HX-Refresh"] == "true"


def test_a3_pause_wants_a_reason_and_leaves_a_trace(support_client: Client, support: User) -> None:
    mailbox = working()
    support_client.post(f"{LIST}{mailbox.pk}/hold/", {"reason": " "})
    assert Mailbox.objects.filter(held_since__isnull=False).count() == 0
    support_client.post(f"{LIST}{mailbox.pk}/hold/", {"reason": "customer asked"})
    mailbox.refresh_from_db()
    assert (mailbox.hold_reason, mailbox.held_by, mailbox.status) == ("customer asked", support, "connected")
    support_client.post(f"{LIST}{mailbox.pk}/release/")
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"paused", "resumed"}


@pytest.mark.parametrize("deed", ["check", "hold", "release"])
def test_a3_deeds_take_post_only(support_client: Client, deed: str) -> None:
    assert support_client.get(f"{LIST}{broken().pk}/{deed}/").status_code == 405


@pytest.mark.parametrize("deed", ["check", "hold", "release", "asked"])
def test_a3_deeds_want_their_right(db: None, deed: str) -> None:
    viewer = User.objects.create_user("vic", password="vic-signs-in", is_staff=True)
    client, mailbox = Client(), broken()
    client.force_login(viewer)
    send = client.get if deed == "asked" else client.post
    assert send(f"{LIST}{mailbox.pk}/{deed}/", {"reason": "x"}).status_code == 403
    assert not AskedCheck.objects.exists()


def test_a3_a_viewer_is_offered_no_action(db: None) -> None:
    viewer = User.objects.create_user("vic", password="vic-signs-in", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_mailbox"))
    client, mailbox = Client(), broken()
    client.force_login(viewer)
    client.post(LIST, {"action": "check_now", "_selected_action": [mailbox.pk]})
    assert not AskedCheck.objects.exists()
    assert "Check now" not in text(client, page(mailbox))


def test_h9_an_alarm_is_listed_and_closed(support_client: Client) -> None:
    alarm = StaffAlarm.objects.create(kind="oauth_client_misconfigured", key="ours", text="expired")
    place = "/admin/mailboxes/staffalarm/"
    assert "Oauth client misconfigured" in text(support_client, place)
    support_client.post(place, {"action": "close", "_selected_action": [alarm.pk]})
    alarm.refresh_from_db()
    assert alarm.closed_at is not None


def test_nobody_comes_in_without_signing_in(client: Client) -> None:
    mailbox = broken()
    for url in (LIST, page(mailbox), f"{LIST}{mailbox.pk}/asked/"):
        assert client.get(url).status_code == 302


def form(**values: Any) -> dict[str, Any]:
    return {
        "address": "new@gmail.com", "provider": "", "wants_smtp": "on", "smtp_host": "", "smtp_port": 465,
        "smtp_security": "ssl", "smtp_username": "", "wants_imap": "on", "imap_host": "", "imap_port": 993,
        "imap_security": "ssl", "imap_username": "", "imap_folder": "INBOX", "new_password": secret(),
        "new_imap_password": "",
    } | values  # fmt: skip


def add(client: Client, **values: Any) -> Any:
    return client.post(f"{LIST}add/", form(workspace=make_workspace().pk, **values))


def errors(response: Any) -> dict[str, str]:
    assert response.status_code == 200, "stored, and should not be"
    return {name: found[0] for name, found in response.context["adminform"].form.errors.items()}


def test_c3_the_address_fills_hosts_ports_and_security(support_client: Client) -> None:
    assert add(support_client).status_code == 302
    mailbox = Mailbox.objects.get()
    assert (mailbox.provider, mailbox.smtp_host, mailbox.imap_host) == ("gmail", "smtp.gmail.com", "imap.gmail.com")
    assert (mailbox.status, mailbox.tenant) == ("unverified", "gmail.com")
    due = CheckState.objects.get(mailbox=mailbox).next_check_at
    assert due is not None and due <= timezone.now()


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"address": "a@nowhere.test"}, "smtp_host", "Type the server's name"),
        ({"smtp_host": "127.0.0.1"}, "smtp_host", "type the server's name"),
        ({"smtp_host": "smtp.example.com", "smtp_port": 25}, "smtp_port", "use one of"),
        ({"imap_host": "imap.example.com", "imap_port": 110}, "imap_port", "use one of"),
        ({"new_password": ""}, "new_password", "needs a password"),
        ({"new_password": "a\nb"}, "new_password", "line break"),
        ({"smtp_username": "me\x01x"}, "smtp_username", "control character"),
        ({"imap_folder": "INBOX\rX"}, "imap_folder", "line break"),
        ({"wants_smtp": None, "wants_imap": None}, "wants_smtp", "tick one"),
    ],
)  # fmt: skip
def test_c2_bad_input_names_the_field_and_the_fix_and_stores_nothing(
    support_client: Client, values: dict[str, Any], field: str, words: str
) -> None:
    data = form(workspace=make_workspace().pk, **values)
    data = {key: value for key, value in data.items() if value is not None}
    found = errors(support_client.post(f"{LIST}add/", data))
    assert words in found.get(field, "") or "null characters" in found.get(field, "").lower()
    assert not Mailbox.objects.exists() and not Credential.objects.exists()


def change(client: Client, mailbox: Mailbox, **values: Any) -> Any:
    data = form(
        workspace=mailbox.workspace_id, address=mailbox.address, smtp_host=mailbox.smtp_host,
        imap_host=mailbox.imap_host, new_password="",
    ) | values  # fmt: skip
    return client.post(page(mailbox), data)


def test_c6_the_admin_replaces_no_password_without_a_test(support_client: Client) -> None:
    mailbox = broken()
    before = mailbox.credential.password
    assert change(support_client, mailbox, new_password=secret()).status_code == 302
    assert "id_new_password" not in text(support_client, page(mailbox))
    assert Credential.objects.get(mailbox=mailbox).password == before
    assert f"/mailboxes/{mailbox.pk}/credentials/" in text(support_client, page(mailbox))


def test_r3_saving_without_a_change_keeps_status_and_credential(support_client: Client) -> None:
    mailbox = working()
    assert change(support_client, mailbox).status_code == 302
    assert Mailbox.objects.get(pk=mailbox.pk).status == "connected"
    assert Credential.objects.get(mailbox=mailbox).version == 1


def test_a_changed_port_is_checked_before_it_counts(support_client: Client) -> None:
    mailbox = working()
    change(support_client, mailbox, smtp_port=587, smtp_security="starttls")
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.smtp_port) == ("unverified", 587)


def test_h8_a_form_opened_before_the_break_does_not_put_the_status_back(support_client: Client) -> None:
    mailbox = working()
    support_client.get(page(mailbox))
    at = START + timedelta(minutes=1)
    refuse(mailbox, IMAP_REFUSED, Leg.IMAP, at=at)
    change(support_client, mailbox, provider="gmail")
    mailbox.refresh_from_db()
    assert (mailbox.provider, mailbox.status) == ("gmail", "needs_reauth")


def test_an_address_that_is_no_number_is_answered_politely(support_client: Client) -> None:
    assert support_client.get(f"{LIST}abc/change/").status_code == 302
