"""A person's pause: beside the status, never touched by health (SPEC, "hold")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F

from mailboxes.models import AuditEntry, CheckState, InboxState, Mailbox

# What is sent after a shorter one goes on as before (W3).
LONG_PAUSE = timedelta(days=7)
CHUNK = 1000


def hold(mailbox_ids: Iterable[int], *, reason: str, acting_user: AbstractBaseUser | None, now: datetime) -> int:
    """Pause the mailboxes that no person holds yet. They do no work and are still checked. Returns how many."""
    user_id = acting_user.pk if acting_user else None
    return sum(_hold(part, reason, user_id, now) for part in _parts(mailbox_ids))


def release(mailbox_ids: Iterable[int], *, acting_user: AbstractBaseUser | None, now: datetime) -> int:
    """End a person's pause. Health decides alone again. Returns how many were held."""
    user_id = acting_user.pk if acting_user else None
    return sum(_release(part, user_id, now) for part in _parts(mailbox_ids))


def _parts(mailbox_ids: Iterable[int]) -> Iterator[list[int]]:
    """Few at a time, each in a transaction of its own: a statement takes so many values, and locks are held briefly.
    Done again after a stop in the middle, it does the rest."""
    ids = sorted(set(mailbox_ids))
    return (ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK))


@transaction.atomic
def _hold(part: list[int], reason: str, user_id: int | None, now: datetime) -> int:
    ids = _locked(part, held_since__isnull=True)
    Mailbox.objects.filter(id__in=ids).update(held_since=now, held_by_id=user_id, hold_reason=reason)
    _audit(ids, "paused", reason, user_id, now)
    return len(ids)


@transaction.atomic
def _release(part: list[int], user_id: int | None, now: datetime) -> int:
    ids = _locked(part, held_since__isnull=False)
    long = Mailbox.objects.filter(id__in=ids, held_since__lte=now - LONG_PAUSE)
    long.update(long_pause_from=F("held_since"), long_pause_until=now)
    Mailbox.objects.filter(id__in=ids).update(held_since=None, held_by_id=None, hold_reason="", released_at=now)
    InboxState.objects.filter(mailbox_id__in=ids).update(next_read_at=now)
    _audit(ids, "resumed", "", user_id, now)
    return len(ids)


def _locked(part: list[int], **state: bool) -> list[int]:
    """Those in this state, locked by their check states as `record` does it: another order would deadlock with it."""
    rows = CheckState.objects.select_for_update().filter(mailbox_id__in=part).order_by("mailbox_id")
    locked = list(rows.values_list("mailbox_id", flat=True))
    return list(Mailbox.objects.filter(id__in=locked, **state).values_list("id", flat=True))


def _audit(ids: list[int], action: str, detail: str, user_id: int | None, now: datetime) -> None:
    AuditEntry.objects.bulk_create(
        [AuditEntry(actor_id=user_id, action=action, mailbox_id=key, detail=detail, at=now) for key in ids]
    )
