"""The admin as a person meets it: at desktop and phone width, broken, healthy and empty (SPEC A1 to A4, U5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.health import asked
from mailboxes.health.record import record
from mailboxes.models import Mailbox
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg
from tests.make import IMAP_REFUSED, REFUSED, START, Clock, evidence, make_mailbox, make_outgoing, make_sandbox_mailbox

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]
WIDTHS = {"desktop": (1440, 900), "phone": (390, 844)}
LIST = "/admin/mailboxes/mailbox/"


@pytest.fixture(params=list(WIDTHS))
def opened(request: pytest.FixtureRequest, browser: Any, live_server: Any, support: User) -> Callable[[str], Any]:
    """Open an address signed in, at one width; console errors and sideways scrolling fail the test."""
    width, height = WIDTHS[request.param]
    client = Client()
    client.force_login(support)
    context = browser.new_context(viewport={"width": width, "height": height})
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    context.add_cookies([session])
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))

    def visit(place: str) -> Any:
        page.goto(live_server.url + place)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, "scrolls sideways"
        assert errors == []
        return page

    request.addfinalizer(context.close)
    return visit


def broken() -> Mailbox:
    mailbox = make_mailbox(provider="gmail", address="a-rather-long-address-indeed@customer-domain.example.test")
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    return mailbox


@pytest.mark.parametrize("place", ["/admin/", LIST, f"{LIST}?needs=reconnect", f"{LIST}add/"])
def test_pages_fit_with_and_without_data(opened: Callable[[str], Any], place: str) -> None:
    opened(place)
    broken()
    opened(place)


def test_the_way_from_the_banner_to_the_action(opened: Callable[[str], Any]) -> None:
    mailbox = broken()
    page = opened("/admin/")
    page.get_by_role("link", name="View all mailboxes").click()
    page.locator(".pm-badge", has_text="Reconnect required").first.click()
    page.wait_for_url(f"**/{mailbox.pk}/change/")
    assert page.get_by_role("heading", name="refuses the password").is_visible()
    page.get_by_role("link", name="Update credentials").click()
    assert page.get_by_label("Password or app password").input_value() == ""


def test_a3_check_now_shows_its_result_without_a_reload(
    opened: Callable[[str], Any], sandbox: Sandbox, clock: Clock
) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox, faults()["wrong-password"])
    page = opened(f"{LIST}{mailbox.pk}/change/")
    sandbox.set_fault(account.address, NO_FAULT)
    page.get_by_role("button", name="Check now").click()
    page.get_by_text("A check is under way").wait_for()
    assert asked.check_asked(10, make_outgoing(sandbox, clock)) == 1
    page.get_by_text("All wanted connections work.").wait_for(timeout=8000)
    assert page.locator(".pm-badge", has_text="Connected").count() == 1
