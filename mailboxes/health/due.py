"""Claim what is due, check it, record it: the batch behind the queue's task (H10). A claim is a lease."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from django.db import InterfaceError, OperationalError, transaction

from mailboxes.health import domains, host_budget
from mailboxes.health.check import Checked, MessageMaker, Supply, Work, checking, no_message, work_at
from mailboxes.health.evidence import Evidence
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.picking import pick_legs
from mailboxes.health.record import record
from mailboxes.health.targets import Subject, load
from mailboxes.models import CheckState
from mailboxes.models.restarts import retry_through_restart
from mailboxes.states import Source
from mailboxes.wire.faults import log_fault
from mailboxes.wire.gate import Gate

logger = logging.getLogger(__name__)
FoundT = TypeVar("FoundT")
Finish = Callable[[Sequence[Checked[FoundT]], datetime], None]
EvidenceOf = Callable[[Checked[FoundT]], Sequence[Evidence]]

LEASE = timedelta(minutes=3)
FLUSH_AT = 100
FLUSH_EVERY_S = 1.0
# Well within the lease of what is claimed (three minutes).
ROUNDS_FOR_S = 20.0


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
        ids = [] if used_up else retry_through_restart(lambda: claim_due(limit, outgoing.clock()))
        used_up = len(ids) < limit
        claimed += len(ids)
        if not ids:
            return []
        return retry_through_restart(lambda: _admitted(ids, outgoing.clock()))

    for _checked in work_and_record(
        supply, _check_of(Source.CHECK), outgoing, checking(outgoing), take_for_s=take_for_s
    ):
        pass  # recorded; nothing of it is kept here
    return claimed


def _admitted(ids: Sequence[int], now: datetime) -> list[Subject]:
    """Those with room at their hosts (X6), with the legs that are due; the others come back with their lease."""
    return host_budget.admit(pick_legs(load(ids, now), now), now)


def check_mailboxes(
    mailbox_ids: Sequence[int],
    source: Source,
    outgoing: Outgoing,
    *,
    message: MessageMaker = no_message,
    finish: Finish[None] | None = None,
) -> list[Checked[None]]:
    """Check these mailboxes and record what is seen.

    `finish` runs in the transaction of the record, for those who keep a result of their own.
    """
    subjects = load(mailbox_ids, outgoing.clock())
    work = checking(outgoing, message)
    return list(work_and_record(lambda: subjects, _check_of(source), outgoing, work, finish=finish))


def _check_of(source: Source) -> EvidenceOf[None]:
    return lambda checked: checked.evidence(source)


def work_and_record(
    supply: Supply,
    evidence: EvidenceOf[FoundT],
    outgoing: Outgoing,
    work: Work[FoundT],
    *,
    finish: Finish[FoundT] | None = None,
    take_for_s: float = 0,
    gate: Gate | None = None,
) -> Iterator[Checked[FoundT]]:
    """Each piece of work, once its evidence is recorded: every second or every 100, so that a killed worker loses
    little. `finish` runs in the transaction of the record."""
    flush = _Flush(evidence, outgoing, finish)
    failing: set[str] = set()
    waiting: list[Checked[FoundT]] = []
    flushed_at = time.monotonic()
    for checked in work_at(supply, outgoing, work, every_s=FLUSH_EVERY_S, take_for_s=take_for_s, gate=gate):
        waiting += [checked] if checked else []
        if len(waiting) >= FLUSH_AT or time.monotonic() - flushed_at >= FLUSH_EVERY_S:
            flush(waiting)
            failing |= {one.subject.address for one in waiting if not one.passed}
            yield from waiting
            waiting, flushed_at = [], time.monotonic()
    flush(waiting)
    failing |= {one.subject.address for one in waiting if not one.passed}
    yield from waiting
    domains.look_up(failing, outgoing.mail.resolver, outgoing.clock())


def work_within_budgets(
    subjects: Sequence[Subject],
    evidence: EvidenceOf[FoundT],
    outgoing: Outgoing,
    work: Work[FoundT],
    *,
    finish: Finish[FoundT] | None = None,
    gate: Gate | None = None,
) -> Iterator[Checked[FoundT]]:
    """As `work_and_record`, no more at a host at once than may be refused there (X6). Who finds no room within
    `ROUNDS_FOR_S` is left out, and comes back by its lease."""
    waiting, until = _Waiting(list(subjects), outgoing), time.monotonic() + ROUNDS_FOR_S
    while waiting.subjects and (left := until - time.monotonic()) > 0:
        before = len(waiting.subjects)
        # A host whose places are taken holds up no other: whoever finds room begins as soon as something has ended.
        yield from work_and_record(waiting.admit, evidence, outgoing, work, finish=finish, take_for_s=left, gate=gate)
        if len(waiting.subjects) == before:
            return


@dataclass
class _Waiting:
    """Who has not begun yet."""

    subjects: list[Subject]
    outgoing: Outgoing

    def admit(self) -> Sequence[Subject]:
        """Return those with room at their hosts now."""
        if not self.subjects:
            return ()
        admitted = host_budget.admit(self.subjects, self.outgoing.clock())
        begun = {one.mailbox_id for one in admitted}
        self.subjects = [one for one in self.subjects if one.mailbox_id not in begun]
        return admitted


@dataclass(frozen=True)
class _Flush(Generic[FoundT]):
    """Writes what has come: evidence, and what its finish makes of it, in one transaction."""

    evidence: EvidenceOf[FoundT]
    outgoing: Outgoing
    finish: Finish[FoundT] | None

    def __call__(self, checked: Sequence[Checked[FoundT]]) -> None:
        try:
            retry_through_restart(lambda: self._record(checked))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if len(checked) == 1:
                log_fault(logger, error, "what mailbox %s answered cannot be stored", checked[0].subject.mailbox_id)
                return
            for one in checked:  # one answer that cannot be stored must not take the others with it
                self([one])

    def _record(self, checked: Sequence[Checked[FoundT]]) -> None:
        if not checked:
            return
        now = self.outgoing.clock()
        with transaction.atomic():
            record([item for one in checked for item in self.evidence(one)], now=now)
            if self.finish is not None:
                self.finish(checked, now)
