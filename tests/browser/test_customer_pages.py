"""Every customers' page at desktop and phone width, broken and healthy, empty and full, and by axe (SPEC U5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mailboxes.health.record import record
from mailboxes.models import Mailbox, Trial
from mailboxes.reconnect import administrator
from mailboxes.reconnect.credentials import Password
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg
from tests.make import (
    BAD_CERTIFICATE,
    IMAP_REFUSED,
    REFUSED,
    START,
    TENANT_OFF,
    evidence,
    make_mailbox,
    make_member,
    make_workspace,
    register,
    secret,
)

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-pages"), pytest.mark.django_db(transaction=True)]
WIDTHS = {"desktop": (1440, 900), "phone": (360, 780)}
STEP = {"stage": "auth", "ok": False, "ms": 12, "text": "535 5.7.8 " + "a-word-without-a-break-" * 12}


@pytest.fixture(params=list(WIDTHS))
def look(request: pytest.FixtureRequest, browser: Any, live_server: Any) -> Callable[..., None]:
    """Open a page, and see that it fits, says nothing to the console, and that axe finds nothing serious."""
    width, height = WIDTHS[request.param]

    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed (requirements-browser.txt)"
    ).Axe()

    def look_at(place: str, user: User | None = None) -> None:
        context = browser.new_context(viewport={"width": width, "height": height})
        request.addfinalizer(context.close)
        if user is not None:
            client = Client()
            client.force_login(user)
            value = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": value, "url": live_server.url}])
        page, errors = context.new_page(), []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(live_server.url + place)
        page.wait_for_load_state("load")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, f"{place} scrolls"
        assert [error for error in errors if "Failed to load resource" not in error] == [], place
        found = axe.run(page).response["violations"]
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], place

    return look_at


def broken(**values: Any) -> Mailbox:
    mailbox = make_mailbox(**values)
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


def test_u5_the_list_and_mailboxes_broken_healthy_and_none(look: Callable[..., None], sandbox: Sandbox) -> None:
    workspace = make_workspace()
    user = make_member(workspace, "owner")
    look("/mailboxes/", user)
    look("/mailboxes/?needs=reconnect", user)
    register(sandbox, "microsoft")
    long_one = broken(workspace=workspace, address="a-rather-long-address-indeed@customer-domain.example.test")
    off = make_mailbox(workspace=workspace, provider="microsoft365")
    record([evidence(off, Leg.SMTP, TENANT_OFF), evidence(off, Leg.IMAP)], now=START)
    well, setting = make_mailbox(workspace=workspace), make_mailbox(workspace=workspace)
    record([evidence(well, Leg.SMTP), evidence(well, Leg.IMAP)], now=START)
    record([evidence(setting, Leg.IMAP, BAD_CERTIFICATE)], now=START)
    for number in range(60):
        make_mailbox(workspace=workspace, address=f"many{number}@northwind.test")
    for place in ("/mailboxes/", "/mailboxes/?page=2", "/mailboxes/?needs=reconnect", "/members/"):
        look(place, user)
    for mailbox in (long_one, off, well, setting):
        look(f"/mailboxes/{mailbox.pk}/", user)
    look(f"/mailboxes/{long_one.pk}/remove/", user)
    token = administrator.token_for(Mailbox.objects.get(pk=off.pk))
    look(reverse("administrator", args=[token]))


def test_u5_the_forms_and_the_test(look: Callable[..., None], sandbox: Sandbox) -> None:
    for flavour in ("google", "microsoft"):
        register(sandbox, flavour)
    mailbox = broken(provider="microsoft365")
    user = make_member(mailbox.workspace)
    for place in (f"/mailboxes/{mailbox.pk}/credentials/", "/connect/", "/connect/?address=anna@gmail.com"):
        look(place, user)
    wish = Wish(
        mailbox.workspace, mailbox.address, {"wants_smtp": True, "smtp_host": "a.test", "wants_imap": True},
        Password(secret()), mailbox,
    )  # fmt: skip
    trial = begin(wish, acting_user=user, now=timezone.now())
    look(f"/tests/{trial.pk}/", user)
    refused = {"verdict": "refused", "category": "auth_failed", "leg": "smtp", "text": STEP["text"]}
    Trial.objects.update(done_at=START, legs=[{"leg": "smtp", "steps": [STEP]}], **refused)
    look(f"/tests/{trial.pk}/", user)
    passed = {"verdict": "passed", "category": "", "kept_at": START}
    Trial.objects.update(legs=[{"leg": "smtp", "steps": [STEP | {"ok": True}]}], **passed)
    look(f"/tests/{trial.pk}/", user)


def test_u5_signing_in_and_help(look: Callable[..., None], support: User, settings: Any) -> None:
    for place in (
        "/sign-in/", "/recover/", "/recover/sent/", "/invitation/x/", "/help/", "/help/prepare/", "/help/pop-ups/",
        "/help/tenant_smtp_disabled/", "/help/providers/gmail/", "/help/providers/mxroute/", "/administrator/x/",
        "/oauth/google/complete/?state=x",
    ):  # fmt: skip
        look(place)
    settings.STAFF_SECOND_FACTOR = True
    look("/second-factor/", support)
