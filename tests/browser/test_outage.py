"""A provider refuses right passwords for ten minutes, over real sockets: what customers and support read (H9, UX-3).

POSTMEND_PICTURES names a folder for pictures of each moment.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.health.due import check_due
from mailboxes.health.incidents import effects
from mailboxes.inbox.visiting import read_due
from mailboxes.models import CheckState, InboxState, Incident, Mailbox
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from tests.browser.conftest import aside
from tests.make import Clock, make_member, make_outgoing, make_sandbox_mailbox, make_workspace

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-outage"), pytest.mark.django_db(transaction=True)]
MAILBOXES, WORKSPACES = 200, 10
STEP_S = 30.0
MINUTE = timedelta(minutes=1)
WIDTHS = {"desktop": 1440, "phone": 390}


class Outage:
    """Two hundred mailboxes at one provider, its fault, and the worker's rounds in the clock's time."""

    def __init__(self, sandbox: Sandbox, clock: Clock) -> None:
        self.sandbox, self.clock = sandbox, clock
        spaces = [make_workspace() for _ in range(WORKSPACES)]
        self.made: list[tuple[Mailbox, Account]] = [
            make_sandbox_mailbox(sandbox, workspace=spaces[number % WORKSPACES], provider="gmail")
            for number in range(MAILBOXES)
        ]
        self.outgoing = make_outgoing(sandbox, clock)
        for _batch in range(4):  # what finds no place in a batch comes back with its lease
            self._round()
            clock.move(minutes=4)
        self._spread()

    def _spread(self) -> None:
        """Rounds are spread over their periods, as after a day of work."""
        dice = random.Random(1)
        for mailbox, _account in self.made:
            CheckState.objects.filter(pk=mailbox.pk).update(next_check_at=self.clock.now + 60 * MINUTE * dice.random())
            InboxState.objects.filter(pk=mailbox.pk).update(next_read_at=self.clock.now + 15 * MINUTE * dice.random())

    def breaks(self) -> None:
        for _mailbox, account in self.made:
            self.sandbox.set_fault(account.address, faults()["wrong-password"])

    def heals(self) -> None:
        for _mailbox, account in self.made:
            self.sandbox.set_fault(account.address, NO_FAULT)

    def run(self, minutes: float) -> None:
        for _step in range(round(minutes * 60 / STEP_S)):
            self.clock.move(seconds=STEP_S)
            self._round()

    def _round(self) -> None:
        check_due(MAILBOXES, self.outgoing)
        read_due(MAILBOXES, self.outgoing)
        effects.look(self.clock.now)

    @property
    def statuses(self) -> Counter[str]:
        return Counter(Mailbox.objects.values_list("status", flat=True))


@pytest.fixture
def read(request: pytest.FixtureRequest, browser: Any, live_server: Any) -> Callable[[User, str, str], str]:
    """The text of a page as this user reads it; a picture of it at each width where a folder is named."""

    def text_of(user: User, place: str, name: str) -> str:
        client = Client()
        client.force_login(user)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        context = browser.new_context(viewport={"width": WIDTHS["desktop"], "height": 900})
        request.addfinalizer(context.close)
        context.add_cookies([cookie])
        page = context.new_page()
        page.goto(live_server.url + place)
        folder = os.environ.get("POSTMEND_PICTURES")
        for width_name, width in WIDTHS.items() if folder else ():
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=Path(folder or ".") / f"{name}-{width_name}.png", full_page=True)
        return str(page.inner_text("body"))

    return text_of


def test_h9_two_hundred_mailboxes_in_an_outage_and_nobody_is_asked_to_reconnect(
    read: Callable[[User, str, str], str], sandbox: Sandbox, clock: Clock, support: User
) -> None:
    outage = aside(lambda: Outage(sandbox, clock))
    assert outage.statuses == {"connected": MAILBOXES}
    owner = make_member(outage.made[0][0].workspace)
    sentence = "Gmail has a problem at the moment. There is nothing for you to do."
    outage.breaks()

    aside(lambda: outage.run(1))
    assert "Reconnect Required" not in read(owner, "/mailboxes/", "minute-1-customer")
    read(support, "/admin/", "minute-1-support")

    aside(lambda: outage.run(4))
    [incident] = Incident.objects.filter(phase="open", leg="imap", failure_class="login")
    hurt = Mailbox.objects.filter(workspace=outage.made[0][0].workspace, status="suspect").first()
    assert hurt is not None
    for place in ("/mailboxes/", f"/mailboxes/{hurt.pk}/"):
        shown = read(owner, place, f"minute-5-customer{'-mailbox' if place[-2].isdigit() else ''}")
        assert sentence in shown and "Reconnect Required" not in shown
    assert "logins are refused (IMAP)" in read(support, "/admin/", "minute-5-support")
    page = read(support, f"/admin/mailboxes/incident/{incident.pk}/change/", "minute-5-incident")
    assert "First failure" in page and "Nobody is asked to reconnect" in page

    aside(lambda: outage.run(5))
    outage.heals()
    aside(lambda: outage.run(10))
    assert "Reconnect Required" not in read(owner, "/mailboxes/", "minute-20-customer")
    read(support, f"/admin/mailboxes/incident/{incident.pk}/change/", "minute-20-incident")

    aside(lambda: outage.run(15))
    assert outage.statuses == {"connected": MAILBOXES}
    assert not Incident.objects.exclude(phase="closed").exists()
    assert sentence not in read(owner, "/mailboxes/", "after-customer")
    assert "Over" in read(support, f"/admin/mailboxes/incident/{incident.pk}/change/", "after-incident")
