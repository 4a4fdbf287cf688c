"""Pictures of a running Postmend at desktop and phone width, by headless Chromium: of the admin for a member of staff,
of the customers' pages for a member of a workspace.

python scripts/pictures.py http://127.0.0.1:8000 USER PASSWORD [FOLDER]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WIDTHS = {"desktop": (1440, 900), "phone": (390, 844)}
LIST = "/admin/mailboxes/mailbox/"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main(base: str, user: str, password: str, folder: str = "pictures") -> None:
    """Sign in, visit each page, write a PNG for each width, and print what overflows or fails in the console."""
    target = Path(folder)
    target.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name, (width, height) in WIDTHS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.on("console", lambda message: print(message.type, message.text) if message.type == "error" else None)
            is_staff = _sign_in(page, base, user, password)
            for title, place in (_places if is_staff else _customers_places)(page, base).items():
                page.goto(base + place)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=target / f"{title}-{name}.png", full_page=True)
                over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                print(f"{title:22} {name:8} {'overflows by ' + str(over) + ' px' if over > 0 else 'fits'}")
        browser.close()


def _sign_in(page: Page, base: str, user: str, password: str) -> bool:
    """True for a member of staff."""
    page.goto(base + "/sign-in/")
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    page.click("main button")
    page.wait_for_load_state("networkidle")
    return "/admin/" in page.url


def _customers_places(page: Page, base: str) -> dict[str, str]:
    """The customers' pages; each broken mailbox's own."""
    places = {
        "customer-list": "/mailboxes/",
        "customer-needs": "/mailboxes/?needs=reconnect",
        "customer-members": "/members/",
        "customer-connect": "/connect/",
        "customer-connect-gmail": "/connect/?address=somebody@gmail.com",
        "customer-inbox": "/inbox/",
        "customer-campaigns": "/campaigns/",
        "customer-campaign-new": "/campaigns/new/",
        "customer-suppressed": "/campaigns/suppressed/",
        "customer-warm-up": "/warm-up/",
        "customer-help": "/help/",
        "customer-tenant": "/help/tenant_smtp_disabled/",
    }
    page.goto(base + "/mailboxes/?needs=reconnect")
    links = [link.get_attribute("href") for link in page.locator("a.address").all()]
    for number, link in enumerate(filter(None, links[:6])):
        places |= {f"customer-broken-{number}": link, f"customer-form-{number}": f"{link}credentials/"}
    for title, listed, link in (
        ("customer-conversation", "/inbox/?kind=message", "main li a"),
        ("customer-campaign", "/campaigns/", "main li a"),
    ):
        page.goto(base + listed)
        if page.locator(link).count():
            places[title] = page.locator(link).first.get_attribute("href") or listed
    page.goto(base + "/mailboxes/")
    healthy = page.locator("li", has_text="Connected").locator("a.address").first.get_attribute("href")
    return places | ({"customer-healthy": healthy} if healthy else {})


def _places(page: Page, base: str) -> dict[str, str]:
    """The pages to look at; one broken and one healthy mailbox are found by the list."""
    places = {"first-page": "/admin/", "list-reconnect": LIST + "?needs=reconnect", "list": LIST, "add": LIST + "add/"}
    for title, query in (("mailbox-broken", "?needs=reconnect&o=2"), ("mailbox-healthy", "?status__exact=connected")):
        page.goto(base + LIST + query)
        link = page.locator("#result_list .pm-badge").first.get_attribute("href")
        places[title] = link or LIST
    return places | {
        "alarms": "/admin/mailboxes/staffalarm/",
        "changes": "/admin/mailboxes/statuschange/",
        "pool": "/admin/warmup/pool/",
        "members": "/admin/warmup/poolmember/",
        "exchanges": "/admin/warmup/exchange/",
        "campaigns": "/admin/campaigns/campaign/",
        "leads": "/admin/campaigns/lead/",
        "inbox": "/admin/mailboxes/inmessage/",
        "outbox": "/admin/mailboxes/outmessage/",
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
