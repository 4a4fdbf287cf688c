"""One message of a mailbox at a time, spaced: who may begin one now, and when the next may follow (FACTS E12)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from mailboxes.models import Mailbox, OutMessage, Pace
from mailboxes.models.sets import update_rows
from mailboxes.outbox import tempo

State = OutMessage.State
JITTER = 0.3


def free(now: datetime) -> QuerySet[Mailbox]:
    """Mailboxes that may send, whose spacing has passed, and that have nothing waiting already."""
    own = OutMessage.objects.filter(mailbox=OuterRef("pk"))
    busy = Exists(own.filter(state__in=(State.CLAIMED, State.ON_WIRE)))
    waiting = Exists(own.filter(state=State.QUEUED, due_at__lte=now))
    return Mailbox.objects.can_send(now).filter(~busy, ~waiting, pace__next_send_at__lte=now)


def space(waits: Mapping[int, timedelta], now: datetime) -> None:
    """From now on, each of these mailboxes waits so long until its next message, more or less."""
    rows = [{"pk": key, "next_send_at": now + tempo.lasting(_jittered(wait))} for key, wait in waits.items()]
    update_rows(Pace, rows)


def _jittered(wait: timedelta) -> timedelta:
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
