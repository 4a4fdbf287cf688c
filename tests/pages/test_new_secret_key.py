"""A new SECRET_KEY with the old one in SECRET_KEY_FALLBACKS ends nothing that was given out (SEC-12; docs/keys.md)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User
from django.test import Client

from campaigns.choosing import choose
from campaigns.models import Lead
from mailboxes.checks import check_keys, check_production
from mailboxes.diagnosis.categories import Category
from mailboxes.models import Mailbox, OutMessage, RecoveryCodes
from mailboxes.outbox import marks
from mailboxes.ownership.codes import hash_code, is_code
from mailboxes.pages.signing_in import BY_NAME_AND_NETWORK, DEVICE_COOKIE
from mailboxes.reconnect import administrator
from tests.campaigns.desk import ready, turn
from tests.make import START, make_mailbox, make_workspace
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db
NEW = "a-new-secret-key-of-the-tests-0123456789-0123456789"


@pytest.fixture
def rotated(settings: Any) -> Any:
    """Call it for the day on which the key is replaced."""

    def rotate(*, keep: bool = True) -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if keep else []
        settings.SECRET_KEY = NEW

    return rotate


def link_in_mail() -> str:
    """The path of the unsubscribe link of a message that went out."""
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], ["ann@people.test"]), START)
    turn(START)
    choose(10, START + timedelta(minutes=3))
    url = OutMessage.objects.get(state="sent").headers["List-Unsubscribe"].strip("<>")
    return "/" + str(url).split("/", 3)[3]


@pytest.mark.parametrize(("keep", "status", "state"), [(True, 200, {"unsubscribed"}), (False, 404, {"active"})])
def test_sec12_a_link_in_mail_already_sent_unsubscribes_after_a_new_key(
    rotated: Any, keep: bool, status: int, state: set[str]
) -> None:
    path = link_in_mail()
    rotated(keep=keep)
    assert Client().post(path, {"List-Unsubscribe": "One-Click"}).status_code == status
    assert set(Lead.objects.values_list("state", flat=True)) == state


def test_sec12_recovery_codes_go_on_to_open(rotated: Any, support: User) -> None:
    [first, second, *_rest] = RecoveryCodes.renew(support)
    rotated()
    taken = [RecoveryCodes.objects.get().verify_token(code) for code in (first, second, first)]
    assert taken == [True, True, False], "each of them once"


def test_sec12_who_is_signed_in_stays_so(rotated: Any, support_client: Client) -> None:
    rotated()
    assert support_client.get("/admin/").status_code == 200


def test_sec12_a_device_is_known_again(rotated: Any) -> None:
    User.objects.create_user("stella", password="stella-signs-in")
    mine, thief = Client(), Client()
    right, wrong = ({"username": "stella", "password": word} for word in ("stella-signs-in", "wrong"))
    mine.post("/sign-in/", right)
    mine.post("/sign-out/")
    rotated()
    for _ in range(BY_NAME_AND_NETWORK.most):
        thief.post("/sign-in/", wrong)
    assert thief.post("/sign-in/", right).status_code == 429
    assert mine.post("/sign-in/", right).status_code == 302
    assert mine.cookies[DEVICE_COOKIE].value


def test_sec12_what_else_was_given_out_is_taken(rotated: Any) -> None:
    mailbox = make_mailbox()
    Mailbox.objects.filter(pk=mailbox.pk).update(category=Category.TENANT_SMTP_DISABLED.value)
    link = administrator.token_for(Mailbox.objects.get(pk=mailbox.pk))
    code, mark = hash_code(1, "7K2M-9QXD"), marks.mark("<1@x.test>", "a@b.test")
    rotated()
    assert administrator.read(link).mailbox == mailbox
    assert is_code(1, "7K2M-9QXD", code) and not is_code(1, "7K2M-9QXX", code)
    assert marks.is_ours(mark, "<1@x.test>", "a@b.test")


def test_sec12_older_keys_are_judged_like_the_present_one(settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = ["short"]
    settings.PRODUCTION = True
    assert "mailboxes.E010" in {found.id for found in check_production(None)}
    settings.SECRET_KEY_FALLBACKS = list(settings.FERNET_KEYS)
    settings.KEYS_ARE_LOCAL = False
    assert [found.id for found in check_keys(None)] == ["mailboxes.E002"]


def test_sec12_older_keys_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    code = "import django; django.setup(); from django.conf import settings; print(settings.SECRET_KEY_FALLBACKS)"
    given = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "POSTMEND_DATA_DIR": str(tmp_path)}
    (tmp_path / "old").write_text("one-key,another")
    for more in ({"SECRET_KEY_FALLBACKS": "one-key,another"}, {"SECRET_KEY_FALLBACKS_FILE": str(tmp_path / "old")}):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=project.BASE_DIR, env=given | more, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert re.findall(r"'([^']+)'", done.stdout) == ["one-key", "another"]
