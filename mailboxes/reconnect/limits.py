"""How often may be tested (SPEC S4; FACTS D14), counted in the tests' own rows: true on any number of machines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from mailboxes.models import AskedCheck, AuditEntry, Trial
from mailboxes.states import CredentialKind, Verdict


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


PER_MAILBOX = Window(5, timedelta(minutes=10))
PER_USER = Window(20, timedelta(hours=1))
PER_WORKSPACE = Window(60, timedelta(days=1))
PER_HOST = Window(20, timedelta(hours=1))
PER_NETWORK = Window(40, timedelta(hours=1))
# A new grant waits at most so long in the queue, well inside the ten minutes that it is kept for (C6).
PER_CONSENT = Window(5, timedelta(minutes=5))
CHECKS_BY_CUSTOMER = Window(5, timedelta(minutes=10))
CHECKS_BY_ADMINISTRATOR = Window(10, timedelta(hours=1))
LOOKUPS = Window(10, timedelta(minutes=1))
ADMINISTRATOR_CHECK = "check asked by the administrator"


def refuse_too_many(trial: Trial, now: datetime) -> None:
    """Raise Limited where this test of a password would be one too many.

    Everything counted belongs to who asks, so that nobody uses up the tests of others: the tests of one mailbox, of
    one user, of one workspace, and of one workspace at one mail server. Tests under way count until they have passed;
    the caller holds the rows of workspace and user locked. A network can be shared by many customers: there, only
    passwords that a server refused count. A test that passed never counts.
    """
    mine = _counted(Trial.objects.filter(workspace=trial.workspace), CredentialKind.PASSWORD)
    by_user = _counted(Trial.objects.filter(asked_by=trial.asked_by), CredentialKind.PASSWORD)
    hosts = [host for host in (trial.place.get("smtp_host"), trial.place.get("imap_host")) if host]
    to_hosts = Q(place__smtp_host__in=hosts) | Q(place__imap_host__in=hosts)
    _refuse("of this mailbox", PER_MAILBOX, mine.filter(address__iexact=trial.address), now)
    _refuse("by you", PER_USER, by_user, now)
    _refuse("of this mail server by your workspace", PER_HOST, mine.filter(to_hosts), now)
    _refuse("in your workspace today", PER_WORKSPACE, mine, now)
    if trial.source_ip:
        refused = Trial.objects.filter(source_ip=trial.source_ip, verdict=Verdict.REFUSED)
        _refuse("from your network", PER_NETWORK, refused.filter(kind=CredentialKind.PASSWORD), now)


def refuse_too_many_consents(trial: Trial, now: datetime) -> None:
    """Raise Limited where this test of a new grant should wait.

    The provider has already authenticated who consented, so that nothing can be guessed here: all that is limited is
    how often one mailbox is tested.
    """
    mine = _counted(Trial.objects.filter(workspace=trial.workspace), CredentialKind.OAUTH)
    _refuse("of this mailbox", PER_CONSENT, mine.filter(address__iexact=trial.address), now)


def _counted(rows: QuerySet[Trial], kind: CredentialKind) -> QuerySet[Trial]:
    """The tests of one kind that count: neither passed, nor ended before any server was asked."""
    return rows.filter(kind=kind).exclude(verdict=Verdict.PASSED).exclude(done_at__isnull=False, starts=0)


def refuse_too_many_checks(mailbox_id: int, user_id: int, now: datetime) -> None:
    """The customer's "Check again" (U3). Raises Limited."""
    rows = AskedCheck.objects.filter(mailbox_id=mailbox_id, asked_by_id=user_id)
    times = rows.filter(asked_at__gt=now - CHECKS_BY_CUSTOMER.within).order_by("-asked_at")
    _refuse_full("of this mailbox", CHECKS_BY_CUSTOMER, list(times.values_list("asked_at", flat=True)[:5]))


def refuse_too_many_by_administrator(mailbox_id: int, now: datetime) -> None:
    """The administrator's "Check again" (R8), whoever holds the link. Raises Limited."""
    window = CHECKS_BY_ADMINISTRATOR
    rows = AuditEntry.objects.filter(mailbox_id=mailbox_id, action=ADMINISTRATOR_CHECK, at__gt=now - window.within)
    _refuse_full("of this mailbox", window, list(rows.order_by("-at").values_list("at", flat=True)[: window.most]))


def _refuse(whose: str, window: Window, rows: QuerySet[Trial], now: datetime) -> None:
    lately = rows.filter(asked_at__gt=now - window.within).order_by("-asked_at").values_list("asked_at", flat=True)
    _refuse_full(whose, window, list(lately[: window.most]))


def _refuse_full(whose: str, window: Window, newest_first: list[datetime]) -> None:
    if len(newest_first) >= window.most:
        raise Limited(whose, newest_first[window.most - 1] + window.within)
