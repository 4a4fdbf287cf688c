"""Sessions that end midway, being offline, and faults of our own, as they are met in a browser (UX-2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone

from mailboxes.health import asked
from mailboxes.models import AskedCheck, AuditEntry
from tests.browser.conftest import aside
from tests.browser.test_reconnecting import browse
from tests.make import make_mailbox, make_member
from tests.pages.customers import broken
from tests.pages.test_administrator import link, tenant_off

__all__ = ["browse"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser-failures"),
    pytest.mark.django_db(transaction=True),
]


def end_sessions() -> None:
    aside(lambda: Session.objects.all().delete())


def sign_in(page: Any, name: str, password: str) -> None:
    page.get_by_label("Email address").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_ux2_a_customers_button_after_the_session_ended(browse: Callable[..., Any], live_server: Any) -> None:
    mailbox = broken()
    member = make_member(mailbox.workspace)
    page = browse(member)
    page.goto(f"{live_server.url}/mailboxes/{mailbox.pk}/")
    end_sessions()
    page.get_by_role("button", name="Check again").click()
    page.get_by_text("Your session has ended").wait_for()
    sign_in(page, member.username, "signs-in-with-this")
    page.wait_for_url(f"{live_server.url}/mailboxes/{mailbox.pk}/")
    page.get_by_role("button", name="Check again").click()
    page.get_by_text("A check is under way").wait_for()


def test_ux2_a_live_card_after_the_session_ended_is_no_sign_in_page_inside_the_card(
    browse: Callable[..., Any], live_server: Any
) -> None:
    mailbox = broken()
    asked.ask([mailbox.pk], acting_user=None, now=timezone.now())
    page = browse(make_member(mailbox.workspace))
    page.goto(f"{live_server.url}/mailboxes/{mailbox.pk}/")
    end_sessions()
    page.wait_for_url("**/sign-in/?next=*")
    assert page.locator("h1").all_inner_texts() == ["Sign in"]


def test_ux2_the_admins_check_now_after_the_session_ended(
    browse: Callable[..., Any], live_server: Any, support: User
) -> None:
    mailbox = make_mailbox()
    page = browse(support)
    change = f"{live_server.url}/admin/mailboxes/mailbox/{mailbox.pk}/change/"
    page.goto(change)
    end_sessions()
    page.get_by_role("button", name="Check now").click()
    page.get_by_text("Your session has ended").wait_for()
    sign_in(page, "sue", "sue-signs-in-here")
    page.wait_for_url(change)
    page.get_by_role("button", name="Check now").click()
    page.get_by_text("A check is under way").wait_for()
    assert aside(AskedCheck.objects.count) == 1


@pytest.mark.parametrize("where", ["customer", "admin"])
def test_ux2_being_offline_is_said_and_what_was_typed_stays(
    where: str, browse: Callable[..., Any], live_server: Any, support: User
) -> None:
    mailbox = broken()
    asked.ask([mailbox.pk], acting_user=None, now=timezone.now())
    page = browse(support if where == "admin" else make_member(mailbox.workspace))
    paths = {"admin": f"/admin/mailboxes/mailbox/{mailbox.pk}/change/", "customer": f"/mailboxes/{mailbox.pk}/"}
    page.goto(live_server.url + paths[where])
    page.context.set_offline(True)
    page.get_by_role("alert").get_by_text("You are offline").wait_for()
    page.get_by_role("button", name="Check now" if where == "admin" else "Sign out").first.click()
    assert page.url == live_server.url + paths[where], "the browser's own page would lose it"
    page.context.set_offline(False)
    page.get_by_role("alert").get_by_text("You are offline").wait_for(state="detached")


def test_ux2_a_fault_of_ours_in_a_live_card_is_said_and_goes_with_the_next_answer(
    browse: Callable[..., Any], live_server: Any
) -> None:
    mailbox = broken()
    asked.ask([mailbox.pk], acting_user=None, now=timezone.now())
    page = browse(make_member(mailbox.workspace))
    for status, words in ((500, "on our side"), (403, "too old"), (429, "Too many tries")):
        page.route("**/live/", lambda route, _request, status=status: route.fulfill(status=status, body="<h1>no</h1>"))
        page.goto(f"{live_server.url}/mailboxes/{mailbox.pk}/")
        page.get_by_role("alert").get_by_text(words).wait_for()
        assert page.get_by_role("button", name="Load the page again").is_visible()
        assert not page.get_by_text("no", exact=True).is_visible()
        page.unroute("**/live/")
        page.get_by_role("alert").get_by_text(words).wait_for(state="detached")


def test_r8_the_administrators_check_again_works_in_a_browser_that_names_no_page(
    browse: Callable[..., Any], live_server: Any
) -> None:
    """With `no-referrer` a browser sends `Origin: null`, which no form of ours would pass."""
    page = browse(None)
    page.goto(f"{live_server.url}{link(tenant_off())}")
    page.get_by_role("button", name="Check again").click()
    page.get_by_text("Being checked").wait_for()
    assert aside(AuditEntry.objects.filter(action="check asked by the administrator").count) == 1
