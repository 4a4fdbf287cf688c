"""Faults of our own: staff are told at once, no customer is flagged (H9). Incidents proper come later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from mailboxes.health.decide import Filed
from mailboxes.models import StaffAlarm

OAUTH_CLIENT = "oauth_client_misconfigured"
UNREADABLE = "credential_unreadable"


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
