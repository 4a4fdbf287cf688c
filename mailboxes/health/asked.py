"""Checks that a person asked for: one row is queue and result, read by the page that asked (SPEC A3, U3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Q, QuerySet

from mailboxes.health.check import Checked
from mailboxes.health.due import check_mailboxes
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.stages import steps_of
from mailboxes.models import AskedCheck, AuditEntry, Mailbox
from mailboxes.models.sets import update_rows
from mailboxes.states import Source

LEASE = timedelta(minutes=2)
MOST_STARTS = 3
CHUNK = 1000


@transaction.atomic
def ask(mailbox_ids: Iterable[int], *, acting_user: AbstractBaseUser | None, now: datetime) -> int:
    """Ask for a check of each mailbox; one that is asked for already stays one. Returns how many were new."""
    ids = list(mailbox_ids)
    user_id = acting_user.pk if acting_user else None
    return sum(_ask(ids[at : at + CHUNK], user_id, now) for at in range(0, len(ids), CHUNK))


def _ask(ids: list[int], user_id: int | None, now: datetime) -> int:
    open_now = AskedCheck.objects.filter(mailbox_id__in=ids, done_at__isnull=True).values_list("mailbox_id", flat=True)
    known = Mailbox.objects.present().filter(id__in=ids).values_list("id", flat=True)
    new = sorted(set(known) - set(open_now))
    rows = [AskedCheck(mailbox_id=key, asked_by_id=user_id, asked_at=now) for key in new]
    AskedCheck.objects.bulk_create(rows, ignore_conflicts=True)
    AuditEntry.objects.bulk_create(
        [AuditEntry(actor_id=user_id, action="check asked", mailbox_id=key, at=now) for key in new]
    )
    return len(new)


def waiting(now: datetime) -> QuerySet[AskedCheck]:
    """Open asked checks that no worker has leased."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    return AskedCheck.objects.filter(free, done_at__isnull=True)


@transaction.atomic
def claim(limit: int, now: datetime) -> dict[int, int]:
    """Lease up to `limit` open asked checks, the oldest first: mailbox id to row id.

    One that was begun three times and never ended is closed: it must not stop the others.
    """
    rows = waiting(now)
    rows.filter(starts__gte=MOST_STARTS).update(done_at=now, note="The check was begun three times and never ended.")
    leased = rows.select_for_update(skip_locked=True).order_by("asked_at").values_list("id", "mailbox_id")[:limit]
    claimed = {mailbox_id: row_id for row_id, mailbox_id in leased}
    AskedCheck.objects.filter(id__in=claimed.values()).update(claimed_until=now + LEASE, starts=F("starts") + 1)
    return claimed


def check_asked(limit: int, outgoing: Outgoing) -> int:
    """Run one batch of asked checks and keep their results. Returns how many were claimed."""
    claimed = claim(limit, outgoing.clock())

    def finish(checked: Sequence[Checked[None]], now: datetime) -> None:
        _keep([(claimed[one.subject.mailbox_id], one) for one in checked], now)

    if claimed:
        check_mailboxes(list(claimed), Source.ASKED, outgoing, finish=finish)
        _close_unchecked(claimed.values(), outgoing.clock())
    return len(claimed)


def _keep(rows: Sequence[tuple[int, Checked[None]]], now: datetime) -> None:
    statuses = dict(
        Mailbox.objects.filter(id__in=[one.subject.mailbox_id for _row, one in rows]).values_list("id", "status")
    )
    kept = [
        {
            "pk": row,
            "done_at": now,
            "status": statuses.get(one.subject.mailbox_id, ""),
            "legs": [steps_of(report) for report in one.reports],
        }
        for row, one in rows
    ]
    update_rows(AskedCheck, kept)


def _close_unchecked(row_ids: Iterable[int], now: datetime) -> None:
    """Nothing to check them with, or another worker is renewing their grant: say so instead of waiting for ever."""
    left = AskedCheck.objects.filter(id__in=list(row_ids), done_at__isnull=True)
    left.update(done_at=now, note="Not checked: no usable credential, or another check is under way. Ask again.")
