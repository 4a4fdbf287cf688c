"""The admin as a person meets it: at desktop and phone width, broken, healthy and empty (SPEC A1 to A4, U5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from campaigns.models import Campaign, Lead
from mailboxes.health import asked
from mailboxes.health.record import record
from mailboxes.models import InMessage, Mailbox, OutMessage
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg
from tests.admin.mail import CAMPAIGNS, LISTS, arrive, campaign_with_lead, pages, sent_out, some
from tests.make import IMAP_REFUSED, REFUSED, START, Clock, evidence, make_mailbox, make_outgoing, make_sandbox_mailbox
from tests.post import make_pool
from warmup.models import Exchange, Pool, PoolMember

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


@pytest.mark.parametrize("place", [*LISTS, f"{CAMPAIGNS}add/", "/admin/"])
def test_lists_of_mail_fit_and_pass_axe_with_and_without_data(opened: Callable[[str], Any], place: str) -> None:
    look(opened(place), place)
    some(3)
    long_ones()
    look(opened(place), place)


def test_pages_of_mail_fit_and_pass_axe(opened: Callable[[str], Any]) -> None:
    some(1)
    long_ones()
    campaign = Campaign.objects.earliest("id")
    models = (InMessage, OutMessage, Campaign, Lead, Pool, PoolMember, Exchange)
    rows = [one for model in models for one in model._default_manager.all()]
    for place in [*pages(rows), f"{CAMPAIGNS}{campaign.pk}/import/", *pages(list(Mailbox.objects.all()))]:
        look(opened(place), place)


def test_k1_leads_are_checked_and_imported(opened: Callable[[str], Any], tmp_path: Path) -> None:
    some(1)
    file = tmp_path / "leads.csv"
    file.write_text("email,company\nnew@leads.test,Acme\nnonsense,X\n")
    page = opened(f"{CAMPAIGNS}{Campaign.objects.get().pk}/import/")
    for button in ("Check the file", "Import 1 lead"):
        page.get_by_label("CSV file").set_input_files(file)
        page.get_by_role("button", name=button).click()
    page.get_by_text("1 leads imported, 1 lines left out.").wait_for()


def test_k4_an_unknown_message_is_sent_again_after_a_tick(opened: Callable[[str], Any]) -> None:
    row = sent_out(make_mailbox(), "unknown")
    page = opened(pages([row])[0])
    page.get_by_role("button", name="Send it again").click()
    page.get_by_label("I know that a second copy may arrive").check()
    page.get_by_role("button", name="Send it again").click()
    page.get_by_text("It waits to be sent again.").wait_for()
    assert OutMessage.objects.get().state == "queued"


def long_ones() -> None:
    """What is long, without a break, or went wrong."""
    mailbox = broken()
    word = "word-without-a-break-" * 20
    sent_out(mailbox, "unknown", subject=word, thread="<long@x>")
    sent_out(mailbox, "refused", text=f"550 {word}", body=word)
    arrive(mailbox, subject=word, text=f"{word}\n\n{word}", from_name=word[:190], thread="<long@x>", role="junk")
    arrive(mailbox, kind="bounce", bounce_text=word, bounce_status="5.1.1")
    campaign, _lead = campaign_with_lead(mailbox, name=word[:180])
    campaign.leads.update(note=word, state="bounced", due_at=None)
    make_pool([mailbox], START, name=word[:190])


def look(page: Any, place: str) -> None:
    """Nothing serious by axe in what is ours: the theme's frame and Django's select2 are theirs."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed (requirements-browser.txt)"
    ).Axe()
    found = axe.run(page, context={"include": ["#content"], "exclude": [".select2"]}).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert serious == [], place


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
