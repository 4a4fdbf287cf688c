"""Which mailbox is read next (SPEC I4). A claim moves `next_read_at` on; what cannot be read is parked until it can."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from mailboxes.models import InboxState, Mailbox
from mailboxes.models.sets import update_rows
from mailboxes.outbox import tempo

LEASE = timedelta(minutes=3)
KEEN_EVERY = timedelta(seconds=45)  # with the worker's tick, within a minute
EVERY = timedelta(minutes=15)  # SPEC I4; with checks between, at most 100 logins a day
# While a message does not come, the cursor waits before it: its tries end well within READ_LATELY, so sending goes on.
HINDERED_EVERY = timedelta(minutes=5)
PUT_OFF_FOR = timedelta(seconds=45)
WATCHED_FOR = timedelta(minutes=5)


@transaction.atomic
def claim_due(limit: int, now: datetime) -> list[int]:
    """Up to `limit` mailboxes that are due and can be read, the longest overdue first."""
    due = InboxState.objects.select_for_update(skip_locked=True).filter(next_read_at__lte=now)
    ids = list(due.order_by("next_read_at").values_list("mailbox_id", flat=True)[:limit])
    readable = set(Mailbox.objects.can_read(now).filter(id__in=ids).values_list("id", flat=True))
    InboxState.objects.filter(mailbox_id__in=readable).update(next_read_at=now + LEASE)
    # Its provider wants a pause: it stays connected, so that no change of status would ring for it afterwards.
    pauses = Mailbox.objects.working().filter(id__in=ids, wants_imap=True, throttled_until__gt=now)
    paused = dict(pauses.values_list("id", "throttled_until"))
    update_rows(InboxState, [{"pk": key, "next_read_at": until} for key, until in paused.items()])
    # Health rings for them when they come back (`health.transition`): they must not stand before the others till then.
    InboxState.objects.filter(mailbox_id__in=set(ids) - readable - paused.keys()).update(next_read_at=None)
    return [key for key in ids if key in readable]


def put_off(mailbox_ids: Iterable[int], now: datetime) -> None:
    """What found no room at its host (X6), or was not begun in time, is tried again shortly."""
    InboxState.objects.filter(mailbox_id__in=list(mailbox_ids), next_read_at__gt=now).update(
        next_read_at=now + PUT_OFF_FOR
    )


def is_due(now: datetime) -> bool:
    """True where a mailbox is due."""
    return InboxState.objects.filter(next_read_at__lte=now).exists()


def read_soon(mailbox_ids: Iterable[int], now: datetime) -> None:
    """Have these read as soon as possible, where they can be read."""
    InboxState.objects.filter(mailbox_id__in=list(mailbox_ids), next_read_at__gt=now).update(next_read_at=now)


def watch(mailbox_ids: Iterable[int], now: datetime) -> None:
    """Somebody looks at these: they are read as often as those in a running campaign from now on, and at once where
    nobody has looked of late."""
    ids = list(mailbox_ids)
    unwatched = Q(watched_until__isnull=True) | Q(watched_until__lte=now)
    read_soon(InboxState.objects.filter(unwatched, mailbox_id__in=ids).values_list("mailbox_id", flat=True), now)
    stale = unwatched | Q(watched_until__lt=now + WATCHED_FOR / 2)
    InboxState.objects.filter(stale, mailbox_id__in=ids).update(watched_until=now + WATCHED_FOR)


def next_after(now: datetime, *, at_once: bool, keen: bool, hindered: bool) -> datetime:
    """When a mailbox is read again after a visit: at once where that brings more, soon where a message did not come."""
    if at_once:
        return now
    return now + (KEEN_EVERY if keen else tempo.lasting(HINDERED_EVERY if hindered else EVERY))
