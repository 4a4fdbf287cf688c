"""Messages that were announced and did not come: tried again, then noted and stepped over (SPEC I5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q

from mailboxes.models import UnreadMessage
from mailboxes.wire.visits import FolderRead

MOST_TRIES = 3  # each by itself, in connections of their own
NOTED_AFTER = timedelta(minutes=10)  # a server whose disk is away for a moment refuses every message
REASON_CHARS = 500


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What stands in a folder's way: UIDs not to be asked for again, and whether one is still being tried."""

    passed_over: frozenset[int] = frozenset()
    is_pending: bool = False


NO_OBSTACLES = Obstacles()


def load_obstacles(mailbox_ids: Collection[int]) -> Mapping[tuple[int, str, int], Obstacles]:
    """Return the obstacles by mailbox, folder and UIDVALIDITY."""
    found: dict[tuple[int, str, int], Obstacles] = {}
    for row in _ahead(mailbox_ids):
        key = (row.mailbox_id, row.folder, row.uidvalidity)
        before = found.get(key, NO_OBSTACLES)
        passed = before.passed_over | ({row.uid} if row.noted_at else frozenset())
        found[key] = Obstacles(passed, before.is_pending or row.noted_at is None)
    return found


def record(reads: Iterable[tuple[int, FolderRead]], now: datetime) -> None:
    """Write down what did not come, in the caller's transaction; what is being tried and was passed by the cursor has
    come after all, or is gone."""
    reads = list(reads)
    rows = list(_ahead({mailbox_id for mailbox_id, _ in reads}))
    known = {(row.mailbox_id, row.folder, row.uidvalidity, row.uid): row for row in rows}
    by_folder = {(mailbox_id, read.before.folder): read for mailbox_id, read in reads}
    over = [row.pk for row in rows if row.noted_at is None and _is_over(row, by_folder)]
    if over:
        UnreadMessage.objects.filter(pk__in=over).delete()
    tried = [_tried(mailbox_id, read, known, now) for mailbox_id, read in reads if read.unread is not None]
    if tried:
        UnreadMessage.objects.bulk_create(
            tried,
            update_conflicts=True,
            unique_fields=["mailbox", "folder", "uidvalidity", "uid"],
            update_fields=["reason", "tries", "last_at", "noted_at"],
        )


def _ahead(mailbox_ids: Collection[int]) -> Iterable[UnreadMessage]:
    """Rows that may matter to a reading: those not noted, and those that the cursor has not passed."""
    rows = UnreadMessage.objects.filter(mailbox_id__in=mailbox_ids)
    ahead = Q(mailbox__cursors__folder=F("folder"), mailbox__cursors__last_uid__lt=F("uid"))
    return rows.filter(Q(noted_at=None) | ahead).distinct()


def _is_over(row: UnreadMessage, by_folder: Mapping[tuple[int, str], FolderRead]) -> bool:
    read = by_folder.get((row.mailbox_id, row.folder))
    return read is not None and (row.uidvalidity != read.uidvalidity or row.uid <= read.last_uid)


def _tried(
    mailbox_id: int, read: FolderRead, known: Mapping[tuple[int, str, int, int], UnreadMessage], now: datetime
) -> UnreadMessage:
    assert read.unread is not None
    key = (mailbox_id, read.before.folder, read.uidvalidity, read.unread.uid)
    row = known.get(key) or UnreadMessage(
        mailbox_id=mailbox_id, folder=key[1], uidvalidity=key[2], uid=key[3], first_at=now
    )
    row.pk = None
    row.reason, row.last_at = read.unread.reason[:REASON_CHARS], now
    row.tries += read.unread.alone
    if row.tries >= MOST_TRIES and now - row.first_at >= NOTED_AFTER:
        row.noted_at = now
    return row


def count_noted(mailbox_id: int) -> int:
    """Return how many messages of a mailbox could not be read and were stepped over."""
    return UnreadMessage.objects.filter(mailbox_id=mailbox_id, noted_at__isnull=False).count()
