"""How often may be tested (SPEC S4; FACTS D14), counted in the tests' own rows: true on any number of machines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from mailboxes.models import AskedCheck, AuditEntry, Trial
from mailboxes.states import Verdict


class Limited(Exception):
    """Too often. `until` is when it may be tried again, `whose` what was counted."""

    def __init__(self, whose: str, until: datetime) -> None:
        super().__init__(f"Too many tests {whose}.")
        self.whose = whose
        self.until = until

    def words(self, now: datetime) -> str:
        """What people read: how long to wait."""
        minutes = max(1, -int((now - self.until).total_seconds() // 60))
        wait = f"{minutes} minute{'s' if minutes > 1 else ''}" if minutes < 90 else f"{round(minutes / 60)} hours"
        return f"Too many tests {self.whose}: try again in {wait}. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Window:
    """At most so many in so long."""

    most: int
    within: timedelta


PER_ADDRESS = Window(5, timedelta(minutes=10))
PER_USER = Window(20, timedelta(hours=1))
PER_WORKSPACE = Window(60, timedelta(days=1))
PER_HOST = Window(30, timedelta(minutes=1))
PER_SOURCE = Window(40, timedelta(hours=1))
CHECKS_BY_CUSTOMER = Window(5, timedelta(minutes=10))
CHECKS_BY_ADMINISTRATOR = Window(10, timedelta(hours=1))
LOOKUPS = Window(10, timedelta(minutes=1))
ADMINISTRATOR_CHECK = "check asked by the administrator"


def refuse_too_many(trial: Trial, now: datetime) -> None:
    """Raise Limited where this test would be one too many. A test that passed counts against nobody's tries."""
    hosts = [host for host in (trial.place.get("smtp_host"), trial.place.get("imap_host")) if host]
    to_hosts = Q(place__smtp_host__in=hosts) | Q(place__imap_host__in=hosts)
    scopes = [
        ("of this mailbox", PER_ADDRESS, Q(workspace=trial.workspace, address__iexact=trial.address), False),
        ("by you", PER_USER, Q(asked_by=trial.asked_by), False),
        ("in your workspace today", PER_WORKSPACE, Q(workspace=trial.workspace), True),
        ("of this mail server by everybody", PER_HOST, to_hosts, True),
        ("from your network", PER_SOURCE, Q(source_ip=trial.source_ip), True),
    ]
    for whose, window, those, passed_count in scopes:
        rows = Trial.objects.filter(those) if passed_count else Trial.objects.filter(those).exclude(_PASSED)
        times = rows.filter(asked_at__gt=now - window.within).order_by("-asked_at").values_list("asked_at", flat=True)
        _refuse(whose, window, list(times[: window.most]))


def refuse_too_many_checks(mailbox_id: int, user_id: int, now: datetime) -> None:
    """The customer's "Check again" (U3). Raises Limited."""
    rows = AskedCheck.objects.filter(mailbox_id=mailbox_id, asked_by_id=user_id)
    times = rows.filter(asked_at__gt=now - CHECKS_BY_CUSTOMER.within).order_by("-asked_at")
    _refuse("of this mailbox", CHECKS_BY_CUSTOMER, list(times.values_list("asked_at", flat=True)[:5]))


def refuse_too_many_by_administrator(mailbox_id: int, now: datetime) -> None:
    """The administrator's "Check again" (R8), whoever holds the link. Raises Limited."""
    window = CHECKS_BY_ADMINISTRATOR
    rows = AuditEntry.objects.filter(mailbox_id=mailbox_id, action=ADMINISTRATOR_CHECK, at__gt=now - window.within)
    _refuse("of this mailbox", window, list(rows.order_by("-at").values_list("at", flat=True)[: window.most]))


_PASSED = Q(verdict=Verdict.PASSED)


def _refuse(whose: str, window: Window, newest_first: list[datetime]) -> None:
    if len(newest_first) >= window.most:
        raise Limited(whose, newest_first[window.most - 1] + window.within)
