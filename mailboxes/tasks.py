"""What the queue runs. Thin: no arguments, reload, one function, safe to run twice. The queue is only a bell."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import Task

from mailboxes.health import asked, due
from mailboxes.health.outgoing import from_settings
from mailboxes.models import AskedCheck, Heartbeat

KEEP_ASKED = timedelta(days=30)
KEEP_TASKS = timedelta(days=7)


def check_asked() -> int:
    """Run the checks that people asked for. Returns how many."""
    return _drain(lambda: asked.check_asked(settings.CHECK_BATCH, from_settings()))


def check_due() -> int:
    """Check what is due, batch after batch. Returns how many."""
    return _drain(lambda: due.check_due(settings.CHECK_BATCH, from_settings()))


def beat() -> None:
    """Sign of life of the cluster that runs this: its supervisor restarts it when the sign grows old."""
    Heartbeat.objects.update_or_create(name=settings.Q_CLUSTER["name"], defaults={"at": timezone.now()})


def prune() -> None:
    """Drop asked checks and queue rows past their time."""
    now = timezone.now()
    AskedCheck.objects.filter(done_at__lt=now - KEEP_ASKED).delete()
    Task.objects.filter(stopped__lt=now - KEEP_TASKS).delete()


def _drain(batch: Callable[[], int]) -> int:
    began, total = time.monotonic(), 0
    while time.monotonic() - began < settings.TAKE_FOR_S:
        done = batch()
        total += done
        if not done:
            break
    return total
