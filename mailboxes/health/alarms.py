"""Faults of our own: staff are told at once, no customer is flagged (H9). Incidents proper come later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from mailboxes.clock import ALLOWED_OFFSET
from mailboxes.health.decide import Filed
from mailboxes.models import StaffAlarm

OAUTH_CLIENT = "oauth_client_misconfigured"
OURS = "our_own_fault"
LONG_INCIDENT = "incident_over_a_day"
CLOCK = "clock_off"
FLAG_CAP = "flag_cap"
UNREADABLE = "credential_unreadable"
LIFTED_FOR = timedelta(hours=1)
QUIET_AFTER = timedelta(minutes=30)


def raise_for(found: Sequence[tuple[str, Filed]], now: datetime) -> None:
    """One open alarm per OAuth client, whatever the number of mailboxes that met it."""
    times = Counter(client for client, _filed in found)
    texts = {client: filed.evidence.failure.text for client, filed in found if filed.evidence.failure}
    for client, count in times.items():
        open_alarm(OAUTH_CLIENT, client or "(unnamed)", texts[client], count, now)


def open_alarm(kind: str, key: str, text: str, times: int, now: datetime) -> None:
    """Open the alarm, or count it once more where it is open."""

    def seen_again() -> int:
        return StaffAlarm.objects.filter(kind=kind, key=key, closed_at__isnull=True).update(
            last_seen_at=now, times_seen=F("times_seen") + times, text=text
        )

    if seen_again():
        return
    try:
        with transaction.atomic():
            StaffAlarm.objects.create(kind=kind, key=key, text=text, opened_at=now, last_seen_at=now, times_seen=times)
    except IntegrityError:  # another worker opened it between the two statements
        seen_again()


def tell_of_cap(capped: int, now: datetime) -> None:
    """H9: so many more would ask for a reconnect at this moment than the cap lets through."""
    text = (
        "More mailboxes than usual are refused at once. Those beyond the cap are out of work, nobody is asked to "
        "reconnect them, and they are tried again every ten minutes. If their passwords really changed, lift the cap."
    )
    open_alarm(FLAG_CAP, "reconnect requests", text, capped, now)


def lift_cap(alarms: QuerySet[StaffAlarm], now: datetime) -> int:
    """Take a person's word that the refusals are real. Returns how many alarms it was said on."""
    return alarms.filter(kind=FLAG_CAP, closed_at__isnull=True).update(lifted_until=now + LIFTED_FOR)


def close_quiet_cap(now: datetime) -> None:
    """Close the cap's alarm when nothing was held back for half an hour."""
    quiet = StaffAlarm.objects.filter(kind=FLAG_CAP, closed_at__isnull=True, last_seen_at__lte=now - QUIET_AFTER)
    quiet.update(closed_at=now)


def close_alarm(kind: str, key: str, now: datetime) -> None:
    """Close the alarm, where it is open: its cause is over."""
    StaffAlarm.objects.filter(kind=kind, key=key, closed_at__isnull=True).update(closed_at=now)


def tell_of_clock(worker: str, offset: timedelta, now: datetime) -> None:
    """H17: a worker whose clock is off by more than five seconds says so; the alarm ends when it is right again."""
    if abs(offset) <= ALLOWED_OFFSET:
        close_alarm(CLOCK, worker, now)
        return
    text = (
        f"The clock of worker {worker} is {offset.total_seconds():+.0f} s off the database's. Start its time service."
    )
    open_alarm(CLOCK, worker, text, 1, now)
