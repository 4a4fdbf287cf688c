"""`demo --once`: full health rounds with the clock moved on, and a table of expected and found."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from demo.population import Resident, residents
from mailboxes.health.due import check_due, check_mailboxes
from mailboxes.health.messages import to_itself
from mailboxes.health.outgoing import Outgoing
from mailboxes.models import Failure, Mailbox
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from mailboxes.wire.runner import Bounds
from mailboxes.wire.tls import opportunistic_client
from mailboxes.wire.values import Limits

# H5 confirms after 10 minutes, H6 after 120; the seconds between see that what falls due in a round is past it.
ROUNDS = tuple(timedelta(minutes=minute, seconds=10 * at) for at, minute in enumerate((0, 1, 2, 5, 10, 15, 60, 120)))
LIMITS = Limits(dns_s=3.0, connect_s=3.0, command_s=2.5, total_s=12.0)
MOST_BATCHES = 10


class MovedClock:
    """The time, moved on."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def __call__(self) -> datetime:
        """Now, in UTC."""
        return timezone.now() + self.by


def way_out(sandbox: Sandbox, clock: MovedClock) -> Outgoing:
    """The way to the sandbox's servers, by this clock."""
    connector = sandbox.connector(LIMITS)
    return Outgoing(
        mail=connector,
        tokens=connector,
        bounds=Bounds(),
        clock=clock,
        exchangers=sandbox.connector(LIMITS, tls=opportunistic_client()),
        exchanger_port=sandbox.exchanger_port,
    )


def run_rounds(outgoing: Outgoing, clock: MovedClock) -> list[dict[str, Any]]:
    """All rounds; then one row a mailbox: what was expected and what was found."""
    send_test_messages(outgoing)
    for by in ROUNDS:
        clock.by = by
        for _batch in range(MOST_BATCHES):
            if not check_due(settings.CHECK_BATCH, outgoing):
                break
    return [_compared(one) for one in residents()]


def send_test_messages(outgoing: Outgoing) -> None:
    """One message each where the fault lies at MAIL FROM or DATA: a login alone does not show it."""
    addresses = [one.address for one in residents() if one.fault.message]
    ids = list(Mailbox.objects.filter(address__in=addresses).values_list("id", flat=True))
    check_mailboxes(ids, Source.ASKED, outgoing, message=to_itself)


def disagreements(rows: Iterable[dict[str, Any]]) -> int:
    """How many rows differ from what was expected."""
    return sum(not row["ok"] for row in rows)


def _compared(one: Resident) -> dict[str, Any]:
    mailbox = Mailbox.objects.get(address=one.address)
    last = Failure.objects.filter(mailbox=mailbox, ignored="").values_list("category", flat=True).first()
    category = mailbox.category or last or ""
    expect = one.fault.expect
    found = (mailbox.status, category, mailbox.pause_reason)
    return {
        "address": one.address,
        "fault": one.fault.id,
        "expected_status": expect["status"],
        "status": mailbox.status,
        "expected_category": expect["category"],
        "category": category,
        "ok": found == (expect["status"], expect["category"], expect["pause_reason"]),
    }
