"""How often may be tested (SPEC S4; FACTS D14), counted in the tests' own rows: true on any number of machines."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from mailboxes.limits import Limited, Rate, Window
from mailboxes.models import Trial
from mailboxes.states import CredentialKind, Verdict

PER_MAILBOX = Window(5, timedelta(minutes=10))
PER_USER = Window(20, timedelta(hours=1))
PER_WORKSPACE = Window(60, timedelta(days=1))
PER_HOST = Window(20, timedelta(hours=1))
PER_NETWORK = Window(40, timedelta(hours=1))
# A new grant waits at most so long in the queue, well inside the ten minutes that it is kept for (C6).
PER_CONSENT = Window(5, timedelta(minutes=5))
CHECKS_BY_CUSTOMER = Rate("checks by a customer", 5, timedelta(minutes=10), "checks")
CHECKS_BY_ADMINISTRATOR = Rate("checks by the administrator", 10, timedelta(hours=1), "checks")
# A look-up asks strangers' servers (FACTS C8).
LOOKUPS = Rate("look-ups", 10, timedelta(minutes=1), "addresses")


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


def _refuse(whose: str, window: Window, rows: QuerySet[Trial], now: datetime) -> None:
    lately = rows.filter(asked_at__gt=now - window.within).order_by("-asked_at").values_list("asked_at", flat=True)
    if len(newest_first := list(lately[: window.most])) >= window.most:
        raise Limited(whose, newest_first[-1] + window.within)
