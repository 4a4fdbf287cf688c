"""Check mailboxes: refresh what must be, talk to the servers, and hand out evidence as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from mailboxes.health import tokens
from mailboxes.health.evidence import Evidence, from_report
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.targets import Subject
from mailboxes.states import Source
from mailboxes.wire.runner import Job, check, stream
from mailboxes.wire.values import Leg, Report, SelfMessage, Stage, Step

_CACHED = Report(Leg.OAUTH, (Step(Stage.TOKEN, True, 0, "", "the access token still works"),))
MessageMaker = Callable[[Subject], SelfMessage | None]


@dataclass(frozen=True, slots=True)
class Checked:
    """One mailbox's check: its legs and when it was."""

    subject: Subject
    reports: tuple[Report, ...]
    begun_at: datetime
    observed_at: datetime

    def evidence(self, source: Source) -> list[Evidence]:
        """One piece of evidence for each leg."""
        return [
            from_report(
                report,
                mailbox_id=self.subject.mailbox_id,
                source=source,
                credential_version=self.subject.credential_version,
                begun_at=self.begun_at,
                observed_at=self.observed_at,
            )
            for report in self.reports
        ]


def no_message(_subject: Subject) -> None:
    """A check sends nothing unless it is asked to."""


def check_subjects(
    subjects: Sequence[Subject], outgoing: Outgoing, message: MessageMaker = no_message
) -> Iterator[Checked]:
    """Check each mailbox once; results come in the order in which they end.

    A login refused with a cached access token is tried once more with a new one before it counts (H4).
    """
    # All that this batch begins ends within BATCH_DEADLINES deadlines; what it cannot begin comes back with its lease.
    start_by = time.monotonic() + outgoing.mail.limits.total_s * (settings.BATCH_DEADLINES - 1)
    now = outgoing.clock()
    stale = [subject for subject in subjects if subject.grant and tokens.is_stale(subject.grant, now)]
    fresh = [(subject, subject.grant.access_token if subject.grant else "", _CACHED) for subject in subjects]
    ready = [row for row in fresh if row[0] not in stale]
    refused: list[Subject] = []
    refreshed = yield from _refreshed(stale, outgoing, start_by)
    for checked in _check_mail(ready + refreshed, outgoing, message, start_by):
        if _refused_cached_token(checked):
            refused.append(checked.subject)
        else:
            yield checked
    again = yield from _refreshed(refused, outgoing, start_by)
    yield from _check_mail(again, outgoing, message, start_by)


_Ready = tuple[Subject, str, Report]


def _refreshed(
    subjects: Sequence[Subject], outgoing: Outgoing, start_by: float
) -> Generator[Checked, None, list[_Ready]]:
    """Refresh; yield the failures as finished checks, return the rest with their tokens."""
    ready: list[_Ready] = []
    for subject, attempt in tokens.refresh_all(subjects, outgoing, start_by) if subjects else ():
        if attempt.report.ok:
            ready.append((subject, attempt.access_token, attempt.report))
        else:
            yield Checked(subject, (attempt.report,), attempt.begun_at, outgoing.clock())
    return ready


def _check_mail(
    rows: Sequence[_Ready], outgoing: Outgoing, message: MessageMaker, start_by: float
) -> Iterator[Checked]:
    jobs = [_job(subject, token, outgoing, message(subject)) for subject, token, _report in rows]
    token_reports = {subject.mailbox_id: report for subject, _token, report in rows}
    for subject, (begun_at, reports) in stream(jobs, outgoing.bounds, start_by):
        token_report = token_reports[subject.mailbox_id]
        if subject.grant and (token_report is not _CACHED or any(map(_logged_in, reports))):
            reports = (token_report, *reports)
        yield Checked(subject, reports, begun_at, outgoing.clock())


def _job(
    subject: Subject, token: str, outgoing: Outgoing, message: SelfMessage | None
) -> Job[Subject, tuple[datetime, tuple[Report, ...]]]:
    target = subject.target(token, message)

    async def work() -> tuple[datetime, tuple[Report, ...]]:
        begun_at = outgoing.clock()
        return begun_at, await check(target, outgoing.mail)

    return Job(subject, subject.host, work)


def _refused_cached_token(checked: Checked) -> bool:
    if checked.subject.grant is None or any(r.leg is Leg.OAUTH and r is not _CACHED for r in checked.reports):
        return False
    failed = (report.failed for report in checked.reports)
    return any(step is not None and step.stage is Stage.AUTH and not _passes(step) for step in failed)


def _passes(step: Step) -> bool:
    """A 4xx or a lost connection at login says nothing of the token."""
    return step.code.startswith("4") or step.code.startswith("E")


def _logged_in(report: Report) -> bool:
    return any(step.stage is Stage.AUTH and step.ok for step in report.steps)
