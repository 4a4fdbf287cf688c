"""Drop what is past its time, in small pieces found by an index (O5). The audit log is never pruned."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django_q.models import Task

from mailboxes.health.incidents.store import BASELINE_KEPT, COUNTS_KEPT, SAMPLES_KEPT
from mailboxes.models import (
    AskedCheck,
    CheckDay,
    Failure,
    Heartbeat,
    Incident,
    InMessage,
    LoginCount,
    LoginSample,
    MailDomain,
    OutMessage,
    RateLimit,
    StatusChange,
    Trial,
    UnreadMessage,
)

CHUNK = 2000
WITHIN_S = 20.0
HOUR_S = 3600
RETIRED_AFTER = timedelta(days=1)
KEEP_TASKS = timedelta(days=7)
ENDED = tuple(state for state in OutMessage.State if state not in ("queued", "claimed", "on_wire", "unknown"))


def prune(now: datetime, chunk: int = CHUNK) -> dict[str, int]:
    """Delete what is too old, for 20 seconds at most: the rest waits for the next time. Returns how many of each.

    The tables take turns, a chunk each, and each hour another one begins: a long one keeps no other one waiting."""
    until = time.monotonic() + WITHIN_S
    past = _past(now)
    counts = dict.fromkeys(past, 0)
    waiting = _in_turn(list(past), now)
    while waiting and time.monotonic() < until:
        name = waiting.pop(0)
        deleted = _delete(past[name], chunk)
        counts[name] += deleted
        waiting += [name] if deleted else []
    return counts


def _in_turn(names: list[str], now: datetime) -> list[str]:
    first = int(now.timestamp() // HOUR_S) % len(names)
    return names[first:] + names[:first]


def _past(now: datetime) -> Mapping[str, QuerySet[Any]]:
    yesterday = now - timedelta(days=1)
    failures = now - timedelta(days=settings.KEEP_FAILURES_DAYS)
    changes = now - timedelta(days=settings.KEEP_CHANGES_DAYS)
    rollups = now - timedelta(days=settings.KEEP_ROLLUPS_DAYS)
    mail, warm = now - timedelta(days=settings.KEEP_MAIL_DAYS), now - timedelta(days=settings.KEEP_WARMUP_DAYS)
    warm_in = InMessage.objects.filter(kind=InMessage.Kind.WARMUP, stored_at__lt=warm)
    warm_out = OutMessage.objects.filter(purpose=OutMessage.Purpose.WARMUP, created_at__lt=warm)
    return {
        "failures": Failure.objects.filter(at__lt=failures).order_by("at"),
        "credential tests": Trial.objects.filter(asked_at__lt=failures).order_by("asked_at"),
        "used limits": RateLimit.objects.filter(empty_at__lt=yesterday.timestamp() * 1000).order_by("empty_at"),
        "sessions": Session.objects.filter(expire_date__lt=now).order_by("expire_date"),
        "asked checks": AskedCheck.objects.filter(done_at__lt=failures).order_by("done_at"),
        "status changes": StatusChange.objects.filter(at__lt=changes).order_by("at"),
        "hourly roll-ups": CheckDay.objects.filter(day__lt=rollups.date()).order_by("day"),
        "mail domains": MailDomain.objects.filter(looked_up_at__lt=failures).order_by("looked_up_at"),
        "warm-up mail received": warm_in.order_by("stored_at"),
        "warm-up mail sent": warm_out.order_by("created_at"),
        "mail received": InMessage.objects.filter(stored_at__lt=mail).order_by("stored_at"),
        "messages not read": UnreadMessage.objects.filter(last_at__lt=mail).order_by("last_at"),
        "mail sent": OutMessage.objects.filter(created_at__lt=mail, state__in=ENDED).order_by("created_at"),
        "failed logins of late": LoginSample.objects.filter(at__lt=now - SAMPLES_KEPT).order_by("at"),
        "counts of logins": LoginCount.objects.filter(slot__lt=now - COUNTS_KEPT, worse=0).order_by("slot"),
        "counts of broken mailboxes": LoginCount.objects.filter(slot__lt=now - BASELINE_KEPT).order_by("slot"),
        "incidents": Incident.objects.filter(changed_at__lt=changes, phase="closed").order_by("changed_at"),
        "workers that retired": Heartbeat.objects.filter(at__lt=now - RETIRED_AFTER).order_by("at"),
        "queue rows": Task.objects.filter(stopped__lt=now - KEEP_TASKS).order_by("stopped"),
    }


def _delete(rows: QuerySet[Any], chunk: int) -> int:
    keys = list(rows.values_list("pk", flat=True)[:chunk])
    return rows.model._default_manager.filter(pk__in=keys).delete()[0] if keys else 0
