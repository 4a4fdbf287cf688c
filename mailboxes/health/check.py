"""Work at mailboxes: refresh what must be, talk to the servers, and hand out evidence as it comes. A check is one
kind of work; a letter sent and an inbox read are others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from django.conf import settings

from mailboxes.health import tokens
from mailboxes.health.evidence import Evidence, from_report
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.targets import Subject
from mailboxes.states import Source
from mailboxes.wire import faults
from mailboxes.wire.faults import log_fault
from mailboxes.wire.gate import Gate
from mailboxes.wire.runner import Job, Pool, check
from mailboxes.wire.values import Leg, Letter, Report, Stage, Step

logger = logging.getLogger(__name__)
_CACHED = Report(Leg.OAUTH, (Step(Stage.TOKEN, True, 0, "", "the access token still works"),))
Supply = Callable[[], Sequence[Subject]]
MessageMaker = Callable[[Subject], Letter | None]
FoundT = TypeVar("FoundT")
# With an access token, or "" where a password serves; gives the legs' reports and whatever else it brings.
Work = Callable[[Subject, str], Coroutine[Any, Any, tuple[tuple[Report, ...], FoundT]]]


@dataclass(frozen=True, slots=True)
class Checked(Generic[FoundT]):
    """One mailbox's work done: its legs, when it was, and what it brought; None where the grant was refused
    before, or where a fault of our own ended the work."""

    subject: Subject
    reports: tuple[Report, ...]
    begun_at: datetime
    observed_at: datetime
    found: FoundT | None = None

    @property
    def passed(self) -> bool:
        """True where every leg passed."""
        return all(report.ok for report in self.reports)

    def evidence(self, source: Source) -> list[Evidence]:
        """One piece of evidence for each leg."""
        return [
            from_report(
                report,
                mailbox_id=self.subject.mailbox_id,
                source=source,
                credential_version=self.subject.credential_version,
                begun_at=self.begun_at,
                observed_at=min(self.begun_at + timedelta(milliseconds=report.ended_ms), self.observed_at),
            )
            for report in self.reports
        ]


def no_message(_subject: Subject) -> None:
    """A check sends nothing unless it is asked to."""


def checking(outgoing: Outgoing, message: MessageMaker = no_message) -> Work[None]:
    """The work of a check."""

    async def work(subject: Subject, token: str) -> tuple[tuple[Report, ...], None]:
        return await check(subject.target(token, message(subject)), outgoing.mail), None

    return work


def work_at(
    supply: Supply,
    outgoing: Outgoing,
    work: Work[FoundT],
    *,
    every_s: float | None = None,
    take_for_s: float = 0,
    gate: Gate | None = None,
) -> Iterator[Checked[FoundT] | None]:
    """Work at each mailbox once; results come in the order in which they end, None where none came for `every_s`.

    `supply` is asked for mailboxes at first, and again whenever there is room, until it gives none or `take_for_s` is
    over: a host that hangs keeps its own place alone. No mailbox waits for another; each goes its own way from refresh
    to check. A login refused with a cached access token is tried once more with a new one before it counts (H4). All
    that is begun ends within BATCH_DEADLINES deadlines after the taking; what cannot begin by then comes back with
    its lease. Work that asks at a `gate` is answered from here.
    """
    take_until = time.monotonic() + take_for_s
    start_by = take_until + outgoing.mail.limits.total_s * (settings.BATCH_DEADLINES - 1)
    with Pool[Subject, tokens.Attempt | _Done[FoundT]](outgoing.bounds, start_by) as pool:
        batch = _Batch(pool, outgoing, work)
        batch.begin(supply())
        if gate is not None:
            gate.wake = pool.wake
        for found in pool.results(every_s):
            if gate is not None:
                gate.answer()
            yield batch.take(*found) if found is not None else None
            if pool.has_room and time.monotonic() < take_until:
                batch.begin(supply())


@dataclass(frozen=True, slots=True)
class _Done(Generic[FoundT]):
    begun_at: datetime
    reports: tuple[Report, ...]
    found: FoundT | None = None


class _Batch(Generic[FoundT]):
    """Where each mailbox of a batch stands between its refresh and its work."""

    def __init__(
        self, pool: Pool[Subject, tokens.Attempt | _Done[FoundT]], outgoing: Outgoing, work: Work[FoundT]
    ) -> None:
        self._pool = pool
        self._outgoing = outgoing
        self._work = work
        self._lease = tokens.Lease(outgoing)
        self._token_reports: dict[int, Report] = {}

    def begin(self, subjects: Sequence[Subject]) -> None:
        now = self._outgoing.clock()
        self._refresh([subject for subject in subjects if subject.grant and tokens.is_stale(subject.grant, now)])
        for subject in subjects:
            if subject.grant is None or not tokens.is_stale(subject.grant, now):
                self._begin_work(subject, subject.grant.access_token if subject.grant else "", _CACHED)

    def take(self, subject: Subject, done: tokens.Attempt | _Done[FoundT]) -> Checked[FoundT] | None:
        """What a finished job makes of its mailbox: the next job, or its result."""
        if isinstance(done, tokens.Attempt):
            return self._refreshed(subject, done)
        reports = done.reports
        token_report = self._token_reports[subject.mailbox_id]
        if token_report is _CACHED and subject.grant and _refused_token(reports):
            self._refresh([subject])
            return None
        if subject.grant and (token_report is not _CACHED or any(map(_logged_in, reports))):
            reports = (token_report, *reports)
        return Checked(subject, reports, done.begun_at, self._outgoing.clock(), done.found)

    def _refreshed(self, subject: Subject, attempt: tokens.Attempt) -> Checked[FoundT] | None:
        if not self._lease.give_back(subject, attempt):
            return None
        if attempt.report.ok:
            self._begin_work(subject, attempt.access_token, attempt.report)
            return None
        return Checked(subject, (attempt.report,), attempt.begun_at, self._outgoing.clock())

    def _refresh(self, subjects: Sequence[Subject]) -> None:
        for subject in self._lease.take(subjects) if subjects else ():
            assert subject.grant is not None
            self._pool.add(Job(subject, subject.grant.client.token_url, partial(self._lease.refresh, subject)))

    def _begin_work(self, subject: Subject, token: str, token_report: Report) -> None:
        self._token_reports[subject.mailbox_id] = token_report

        async def work() -> _Done[FoundT]:
            begun_at = self._outgoing.clock()
            try:
                return _Done(begun_at, *await self._work(subject, token))
            except Exception as error:  # it would be tried for ever, and nobody would hear of it (SRV-4)
                log_fault(logger, error, "the work at mailbox %s ended in our own fault", subject.mailbox_id)
                return _Done(begun_at, _ours(subject, error))

        self._pool.add(Job(subject, subject.host, work))


def _ours(subject: Subject, error: Exception) -> tuple[Report, ...]:
    """A report for each leg that was to be worked at: it failed by a fault of our own."""
    step = Step(Stage.CONNECT, False, 0, faults.CODE, faults.words_for(error))
    return tuple(Report(leg, (step,)) for leg, place in ((Leg.SMTP, subject.smtp), (Leg.IMAP, subject.imap)) if place)


def _refused_token(reports: Sequence[Report]) -> bool:
    failed = (report.failed for report in reports)
    return any(step is not None and step.stage is Stage.AUTH and not _passes(step) for step in failed)


def _passes(step: Step) -> bool:
    """A 4xx or a lost connection at login says nothing of the token."""
    return step.code.startswith("4") or step.code.startswith("E")


def _logged_in(report: Report) -> bool:
    return any(step.stage is Stage.AUTH and step.ok for step in report.steps)
