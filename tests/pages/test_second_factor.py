"""The second factor of staff: sessions, waits, recovery codes, and a lost key (SPEC S6)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from mailboxes.models import AuditEntry, CodeDevice, OAuthClient, RecoveryCodes
from tests.make import make_mailbox, make_workspace, secret

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gate")]


@pytest.fixture
def gate(settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True


@pytest.fixture
def device(support: User) -> CodeDevice:
    made: CodeDevice = CodeDevice.objects.create(user=support, name="x", key=CodeDevice.new_key())
    return made


def code(device: CodeDevice) -> str:
    return f"{totp(bytes.fromhex(str(device.key))):06d}"


def show(client: Client, typed: str, **more: str) -> Any:
    return client.post("/second-factor/", {"code": typed} | more)


def codes_of(client: Client) -> list[str]:
    return re.findall(r"\b[0-9a-f]{6}-[0-9a-f]{6}\b", client.post("/second-factor/codes/").content.decode())


@pytest.fixture
def verified(support_client: Client, device: CodeDevice) -> Client:
    assert show(support_client, code(device)).status_code == 302
    return support_client


def test_sec16_the_session_of_before_is_nobodys_after_the_second_factor(
    support_client: Client, device: CodeDevice
) -> None:
    before = support_client.session.session_key
    thief = Client()
    thief.cookies["sessionid"] = str(before)
    assert show(support_client, code(device))["Location"] == "/"
    assert support_client.session.session_key != before
    assert support_client.get("/admin/").status_code == 200
    assert thief.get("/admin/")["Location"].startswith("/admin/login/"), "not even the password's part is left"


def test_sec16_the_wait_is_never_longer_than_a_quarter_of_an_hour(device: CodeDevice, support_client: Client) -> None:
    for count in (11, 16, 400):
        at = timezone.now() - timedelta(minutes=15)
        CodeDevice.objects.update(throttling_failure_count=count, throttling_failure_timestamp=at, last_step=-1)
        assert show(support_client, code(device)).status_code == 302
        support_client.post("/second-factor/")
    CodeDevice.objects.update(throttling_failure_count=16, throttling_failure_timestamp=timezone.now(), last_step=-1)
    assert show(support_client, code(device)).status_code == 403, "and it is a wait"


def test_sec16_recovery_codes_are_shown_once_kept_hashed_and_work_once(verified: Client, support: User) -> None:
    codes = codes_of(verified)
    assert len(set(codes)) == 10
    kept = " ".join(StaticToken.objects.values_list("token", flat=True))
    assert not any(part in kept for one in codes for part in (one, one.replace("-", "")))
    assert codes[0] not in verified.get("/second-factor/codes/").content.decode()
    phone_lost = Client()
    phone_lost.force_login(support)
    assert show(phone_lost, codes[0].upper(), next="/admin/")["Location"] == "/admin/"
    assert phone_lost.get("/admin/").status_code == 200
    again = Client()
    again.force_login(support)
    assert show(again, codes[0]).status_code == 403, "a code counts once"
    assert RecoveryCodes.left(support) == 9
    actions = list(AuditEntry.objects.filter(actor=support).values_list("action", flat=True))
    assert {"recovery codes made", "recovery code used"} <= set(actions)


def test_sec16_new_recovery_codes_end_the_old_ones(verified: Client, support: User) -> None:
    old = codes_of(verified)[0]
    codes_of(verified)
    stranger = Client()
    stranger.force_login(support)
    assert show(stranger, old).status_code == 403 and RecoveryCodes.left(support) == 10


def test_sec16_wrong_recovery_codes_make_the_right_one_wait(verified: Client, support: User) -> None:
    right = codes_of(verified)[0]
    guesser = Client()
    guesser.force_login(support)
    for _ in range(3):
        assert show(guesser, "000000-000000").status_code == 403
    assert show(guesser, right).status_code == 403
    StaticDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(minutes=15))
    assert show(guesser, right).status_code == 302


def test_sec16_only_who_has_shown_the_second_factor_makes_codes(support_client: Client, device: CodeDevice) -> None:
    assert support_client.post("/second-factor/codes/")["Location"].startswith("/second-factor/")
    assert not StaticToken.objects.exists()


def test_sec16_after_the_set_up_recovery_codes_are_offered(support_client: Client) -> None:
    support_client.get("/second-factor/")
    answer = show(support_client, code(CodeDevice.objects.get()), next="/admin/mailboxes/mailbox/?needs=reconnect")
    assert answer["Location"].startswith("/second-factor/codes/?next=")
    page = support_client.get(answer["Location"]).content.decode()
    assert 'href="/admin/mailboxes/mailbox/?needs=reconnect"' in page and "Make ten new codes" in page


@pytest.mark.parametrize("path", ["/admin/mailboxes/mailbox/?needs=reconnect&q=anna%40a.test", "/mailboxes/?page=2"])
def test_code13_the_way_back_keeps_the_whole_address(path: str, support_client: Client, device: CodeDevice) -> None:
    gate = support_client.get(path)["Location"]
    assert parse_qs(urlsplit(gate).query)["next"] == [path]
    page = support_client.get(gate).content.decode()
    back = re.search(r'name="next" value="([^"]*)"', page)
    assert back is not None
    assert show(support_client, code(device), next=back.group(1).replace("&amp;", "&"))["Location"] == path


# ---- a lost key


@pytest.fixture
def key_lost(settings: Any, support: User, device: CodeDevice) -> None:
    """Everything was encrypted with a key that is gone."""
    make_mailbox(workspace=make_workspace())
    OAuthClient.objects.create(name="google", token_url="https://token.test", client_id="x", client_secret=secret())
    settings.FERNET_KEYS = ["another-key-than-before"]


@pytest.mark.usefixtures("key_lost")
def test_sec12_with_a_lost_key_the_page_says_so_and_what_to_do(support_client: Client) -> None:
    for answer in (support_client.get("/second-factor/"), show(support_client, "123456")):
        page = answer.content.decode()
        assert answer.status_code in (200, 403) and "FERNET_KEYS" in page
        assert "manage.py reset_second_factor sue" in page


@pytest.mark.usefixtures("key_lost")
def test_sec12_an_operator_resets_it_and_the_admin_is_open_again(support_client: Client, support: User) -> None:
    call_command("reset_second_factor", "sue")
    setup = support_client.get("/second-factor/").content.decode()
    assert "data:image/svg+xml" in setup
    assert show(support_client, code(CodeDevice.objects.get())).status_code == 302
    assert support_client.get("/admin/").status_code == 200
    assert AuditEntry.objects.get(action="second factor reset").target == "sue"
    with pytest.raises(CommandError, match="No user is named"):
        call_command("reset_second_factor", "nobody")


def test_sec12_a_recovery_code_opens_the_admin_with_a_lost_key(verified: Client, support: User, settings: Any) -> None:
    codes = codes_of(verified)
    settings.FERNET_KEYS = ["another-key-than-before"]
    assert verified.get("/admin/").status_code == 200, "who is in stays in"
    other = Client()
    other.force_login(support)
    assert show(other, codes[0]).status_code == 302 and other.get("/admin/").status_code == 200


def test_sec12_a_set_up_that_was_begun_with_the_lost_key_begins_anew(support_client: Client, settings: Any) -> None:
    support_client.get("/second-factor/")
    settings.FERNET_KEYS = ["another-key-than-before"]
    assert "data:image/svg+xml" in support_client.get("/second-factor/").content.decode()
    assert show(support_client, code(CodeDevice.objects.get())).status_code == 302


@pytest.mark.usefixtures("key_lost")
def test_sec12_no_page_of_the_admin_breaks_with_a_lost_key(support_client: Client, support: User) -> None:
    call_command("reset_second_factor", "sue")
    support_client.get("/second-factor/")
    show(support_client, code(CodeDevice.objects.get()))
    support_client.raise_request_exception = False
    broken = [path for path in _admin_pages() if support_client.get(path).status_code >= 500]
    assert broken == []


def _admin_pages() -> list[str]:
    pages = ["/admin/", "/"]
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages += [reverse(f"{name}_changelist")]
        keys = model._default_manager.values_list("pk", flat=True)[:2]
        pages += [reverse(f"{name}_change", args=[key]) for key in keys]
        pages += [reverse(f"{name}_delete", args=[key]) for key in keys]
    return pages
