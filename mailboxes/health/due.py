"""Claim what is due, check it, record it: the batch behind the queue's task (H10). A claim is a lease."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from django.db import DataError, OperationalError, transaction

from mailboxes.health import domains
from mailboxes.health.check import Checked, MessageMaker, Supply, check_subjects, no_message
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.record import record
from mailboxes.health.targets import Subject, load
from mailboxes.models import CheckState
from mailboxes.states import Source

logger = logging.getLogger(__name__)
Finish = Callable[[Sequence[Checked], datetime], None]

LEASE = timedelta(minutes=3)
TRIES = 3
FLUSH_AT = 100
FLUSH_EVERY_S = 1.0


@transaction.atomic
def claim_due(limit: int, now: datetime) -> list[int]:
    """Up to `limit` due mailboxes, the longest overdue first, leased to the caller by moving their due time on."""
    due = CheckState.objects.select_for_update(skip_locked=True).filter(next_check_at__lte=now)
    ids = list(due.order_by("next_check_at").values_list("mailbox_id", flat=True)[:limit])
    CheckState.objects.filter(mailbox_id__in=ids).update(next_check_at=now + LEASE)
    return ids


def check_due(limit: int, outgoing: Outgoing, take_for_s: float = 0) -> int:
    """Check what is due: one batch of so many, and for `take_for_s` seconds more as soon as there is room for it.

    Returns how many were claimed.
    """
    claimed, used_up = 0, False

    def supply() -> Sequence[Subject]:
        nonlocal claimed, used_up
        ids = [] if used_up else claim_due(limit, outgoing.clock())
        used_up = len(ids) < limit
        claimed += len(ids)
        return load(ids, outgoing.clock()) if ids else []

    for _checked in _check(supply, Source.CHECK, outgoing, take_for_s=take_for_s):
        pass  # recorded; nothing of it is kept here
    return claimed


def check_mailboxes(
    mailbox_ids: Sequence[int],
    source: Source,
    outgoing: Outgoing,
    *,
    message: MessageMaker = no_message,
    finish: Finish | None = None,
) -> list[Checked]:
    """Check these mailboxes and record what is seen.

    `finish` runs in the transaction of the record, for those who keep a result of their own.
    """
    subjects = load(mailbox_ids, outgoing.clock())
    return list(_check(lambda: subjects, source, outgoing, message=message, finish=finish))


def _check(
    supply: Supply,
    source: Source,
    outgoing: Outgoing,
    *,
    message: MessageMaker = no_message,
    finish: Finish | None = None,
    take_for_s: float = 0,
) -> Iterator[Checked]:
    """Each check, once it is recorded: every second or every 100, so that a killed worker loses little."""
    failing: set[str] = set()
    waiting: list[Checked] = []
    flushed_at = time.monotonic()
    for checked in check_subjects(supply, outgoing, message, every_s=FLUSH_EVERY_S, take_for_s=take_for_s):
        waiting += [checked] if checked else []
        if len(waiting) >= FLUSH_AT or time.monotonic() - flushed_at >= FLUSH_EVERY_S:
            _flush(waiting, source, outgoing, finish)
            failing |= {one.subject.address for one in waiting if not one.passed}
            yield from waiting
            waiting, flushed_at = [], time.monotonic()
    _flush(waiting, source, outgoing, finish)
    failing |= {one.subject.address for one in waiting if not one.passed}
    yield from waiting
    domains.look_up(failing, outgoing.mail.resolver, outgoing.clock())


def _flush(
    checked: Sequence[Checked],
    source: Source,
    outgoing: Outgoing,
    finish: Finish | None,
) -> None:
    for attempt in range(TRIES):
        try:
            _record(checked, source, outgoing, finish)
        except OperationalError:  # a deadlock: the database chose us to begin again
            if attempt == TRIES - 1:
                raise
        except DataError:
            if len(checked) == 1:
                logger.exception("what mailbox %s answered cannot be stored", checked[0].subject.mailbox_id)
                return
            for one in checked:  # one answer that cannot be stored must not take the others with it
                _flush([one], source, outgoing, finish)
            return
        else:
            return


def _record(
    checked: Sequence[Checked],
    source: Source,
    outgoing: Outgoing,
    finish: Finish | None,
) -> None:
    if not checked:
        return
    now = outgoing.clock()
    with transaction.atomic():
        record([item for one in checked for item in one.evidence(source)], now=now)
        if finish is not None:
            finish(checked, now)
