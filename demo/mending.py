"""`demo --mend`: each way back to work on a running demo, by HTTP as a browser does it, and the seconds it took."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape

import requests

from demo.population import DOMAINS, TENANT_FAULT, TENANT_MAILBOXES, Resident, residents
from demo.seed import NEW_PASSWORD
from mailboxes.models import Mailbox, Trial
from mailboxes.sandbox.faults import NO_FAULT
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Verdict

MOST_S = 120.0
LOOK_EVERY_S = 0.2
PRESSES = 3


@dataclass(frozen=True, slots=True)
class Mended:
    """One way, and the seconds from the customer's sign-in to the cleared badge; None where it did not clear."""

    way: str
    address: str
    seconds: float | None


def mend_all(base: str, sandbox: Sandbox, customers: dict[str, str]) -> list[Mended]:
    """Wait until the demo has settled, then mend one mailbox in each way."""
    everybody = {one.fault.id: one for one in residents() if one.fault is not NO_FAULT}
    grant, password, off = (everybody[name] for name in ("grant-revoked", "app-password-wanted", TENANT_FAULT))
    _wait(lambda: all(_is_flagged(one.address) for one in (grant, password, off)))
    return [
        _timed("Microsoft grant: consent", grant, lambda: _consent(base, grant, customers)),
        _timed("Google app password: one form", password, lambda: _form(base, password, customers)),
        _timed(f"5.7.139: one setting, {TENANT_MAILBOXES} mailboxes", off, lambda: _switch_on(sandbox)),
    ]


def _timed(way: str, one: Resident, act: Callable[[], None]) -> Mended:
    began = time.monotonic()
    act()
    addresses = [one.address]
    if one.fault.id == TENANT_FAULT:
        addresses = [other.address for other in residents() if other.fault.id == TENANT_FAULT]
    cleared = _wait(lambda: not any(_is_flagged(address) for address in addresses))
    return Mended(way, one.address, round(time.monotonic() - began, 1) if cleared else None)


def _consent(base: str, one: Resident, customers: dict[str, str]) -> None:
    browser, page = _signed_in(base, one, customers)
    back = browser.post(f"{base}/oauth/microsoft/start/", data={"mailbox": _pk(one)} | _token(page), timeout=30)
    fields = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', back.text)}
    ticked = re.findall(r'name="ticked" value="([^"]+)"', back.text)
    form = fields | {"account": one.address, "decision": "allow", "ticked": ticked}
    browser.post(back.url.partition("?")[0], data=form, timeout=30).raise_for_status()


def _form(base: str, one: Resident, customers: dict[str, str]) -> None:
    browser, _ = _signed_in(base, one, customers)
    url = f"{base}/mailboxes/{_pk(one)}/credentials/"
    page = browser.get(url, timeout=30).text
    fields = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page)}
    ticks = {"wants_smtp": "on", "wants_imap": "on", "same_login": "on"}
    security = {"smtp_security": one.security.value, "imap_security": one.security.value}
    form = fields | ticks | security | {"password": NEW_PASSWORD, "then": "save"}
    for _press in range(PRESSES):  # where the test could not tell, a person presses once more
        browser.post(url, data=form, headers={"Referer": url}, timeout=30).raise_for_status()
        if _passed(one):
            return


def _passed(one: Resident) -> bool:
    """True once a test of the mailbox has passed; waits for the one under way."""
    tests = Trial.objects.filter(address=one.address)
    _wait(lambda: not tests.filter(done_at__isnull=True).exists())
    return tests.filter(verdict=Verdict.PASSED).exists()


def _switch_on(sandbox: Sandbox) -> None:
    for one in residents():
        if one.fault.id == TENANT_FAULT:
            sandbox.set_fault(one.address, NO_FAULT)


def _signed_in(base: str, one: Resident, customers: dict[str, str]) -> tuple[requests.Session, str]:
    domain = one.address.rpartition("@")[2]
    owner = next(f"owner@{name}" for name in DOMAINS if name == domain)
    browser = requests.Session()
    form = {"username": owner, "password": customers[owner]}
    page = browser.get(f"{base}/sign-in/", timeout=30).text
    browser.post(f"{base}/sign-in/", data=form | _token(page), timeout=30).raise_for_status()
    return browser, browser.get(f"{base}/mailboxes/{_pk(one)}/", timeout=30).text


def _token(page: str) -> dict[str, str]:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    return {"csrfmiddlewaretoken": found.group(1)} if found else {}


def _pk(one: Resident) -> int:
    return Mailbox.objects.values_list("pk", flat=True).get(address=one.address)


def _is_flagged(address: str) -> bool:
    return Mailbox.objects.filter(address=address, needs_reconnect=True).exists()


def _wait(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + MOST_S
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(LOOK_EVERY_S)
    return False
