"""Faults of our own: staff are told at once, no customer is flagged (H9). Incidents proper come later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from mailboxes.clock import ALLOWED_OFFSET
from mailboxes.diagnosis.categories import Category
from mailboxes.health.decide import Decision, Filed
from mailboxes.models import StaffAlarm

OAUTH_CLIENT = "oauth_client_misconfigured"
OURS = "our_own_fault"
OUR_CODE = "mistake_in_our_code"
LONG_INCIDENT = "incident_over_a_day"
CLOCK = "clock_off"
FLAG_CAP = "flag_cap"
RECIPIENTS = "recipients_said_not_to_exist"
ADDRESS_BLOCKED = "our_address_is_blocked"
UNREADABLE = "credential_unreadable"
LIFTED_FOR = timedelta(hours=1)
MISTAKE_QUIET_AFTER = timedelta(days=1)
CAP_QUIET_AFTER = timedelta(minutes=30)
RECIPIENTS_QUIET_AFTER = timedelta(hours=2)
# Longer than the longest pause between two logins at a host that blocks us.
BLOCK_QUIET_AFTER = timedelta(hours=6)
KEY_CHARS = 100


def raise_for(decisions: Sequence[Decision], now: datetime) -> None:
    """One open alarm per OAuth client of ours, host that blocks our address, and place in our code, whatever the number
    of mailboxes that met it."""
    found = [(_of(one, filed), filed) for one in decisions for filed in one.ours]
    times = Counter(alarm for alarm, _filed in found)
    texts = {alarm: filed.evidence.failure.text for alarm, filed in found if filed.evidence.failure}
    for (kind, key), count in sorted(times.items()):  # in one order: two workers must not wait for each other
        open_alarm(kind, key, texts[kind, key], count, now)


def _of(decision: Decision, filed: Filed) -> tuple[str, str]:
    """Kind and key: a fault in our code is named by its leg, stage and place, which is the end of its words."""
    step, category = filed.evidence.failure, filed.diagnosis.category
    if category is Category.RATE_LIMITED:
        return ADDRESS_BLOCKED, decision.snapshot.scopes[filed.evidence.leg][:KEY_CHARS]
    if category is Category.OAUTH_CLIENT_MISCONFIGURED or step is None:
        return OAUTH_CLIENT, decision.snapshot.oauth_client or "(unnamed)"
    return OUR_CODE, f"{filed.evidence.leg} {step.stage} {step.text.rpartition(': ')[2]}"[:KEY_CHARS]


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


def close_quiet(now: datetime) -> None:
    """Close what was not met for a while, where nobody else can tell that it is over."""
    is_over = Q(kind=FLAG_CAP, last_seen_at__lte=now - CAP_QUIET_AFTER)
    is_over |= Q(kind=OAUTH_CLIENT, last_seen_at__lte=now - BLOCK_QUIET_AFTER)
    is_over |= Q(kind=OUR_CODE, last_seen_at__lte=now - MISTAKE_QUIET_AFTER)
    is_over |= Q(kind=RECIPIENTS, last_seen_at__lte=now - RECIPIENTS_QUIET_AFTER)
    is_over |= Q(kind=ADDRESS_BLOCKED, last_seen_at__lte=now - BLOCK_QUIET_AFTER)
    StaffAlarm.objects.filter(is_over, closed_at__isnull=True).update(closed_at=now)


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
