"""Run the tests that wait: SMTP first, then IMAP, each leg shown as soon as it has ended; then the verdict (C5, C6)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from cryptography.fernet import InvalidToken
from django.db import IntegrityError, OperationalError, transaction

from mailboxes.diagnosis.values import Reply
from mailboxes.health.messages import to_itself
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.renewed import Busy
from mailboxes.health.rules import diagnose
from mailboxes.health.stages import steps_of
from mailboxes.health.targets import Grant, Subject, endpoint, without_secret
from mailboxes.models import Candidate, Trial
from mailboxes.providers.presets import family
from mailboxes.reconnect.keeping import Gone, keep_tested
from mailboxes.reconnect.trials import claim
from mailboxes.reconnect.verdict import Finding, Judged, judge
from mailboxes.states import CredentialKind, Verdict
from mailboxes.wire.faults import log_fault
from mailboxes.wire.runner import Job, Pool, check
from mailboxes.wire.values import Leg, Report, Target

logger = logging.getLogger(__name__)
TRIES = 3
OURS = "The test ended in a fault of our own. Nothing was changed: test again."
GONE = "The mailbox was removed, or the test given up, meanwhile. Nothing was stored."


@dataclass
class _Run:
    """One test under way: what is left to try, and what was seen."""

    trial: Trial
    candidate: Candidate
    begun_at: datetime
    targets: list[Target]
    reports: list[Report] = field(default_factory=list)


def run_trials(limit: int, outgoing: Outgoing) -> int:
    """Run one batch of waiting tests. Returns how many."""
    trials = claim(limit, outgoing.clock())
    with Pool[_Run, Report](outgoing.bounds) as pool:
        for trial in trials:
            if (run := _begun(trial, outgoing)) is not None:
                _next(run, pool, outgoing)
        for found in pool.results():
            assert found is not None
            run, report = found
            run.reports.append(report)
            if run.targets:
                Trial.objects.filter(pk=run.trial.pk).update(legs=[steps_of(one) for one in run.reports])
                _next(run, pool, outgoing)
            else:
                _conclude_safely(run, outgoing.clock())
    return len(trials)


def _conclude_safely(run: _Run, now: datetime) -> None:
    """One test's trouble must not take the others with it. Two tests of one new address, or a check at the same moment,
    are tried again; a mailbox that was removed meanwhile stays removed."""
    for attempt in range(TRIES):
        try:
            _conclude(run, now)
        except (Busy, IntegrityError, OperationalError) as error:
            if attempt == TRIES - 1:
                log_fault(logger, error, "a test could not be kept")
                _give_up(run.trial, now, OURS)
        except Gone:
            _give_up(run.trial, now, GONE)
            return
        except Exception as error:
            log_fault(logger, error, "a test ended in our own fault")
            _give_up(run.trial, now, OURS)
            return
        else:
            return


def _give_up(trial: Trial, now: datetime, note: str) -> None:
    Candidate.objects.filter(trial=trial).delete()
    Trial.objects.filter(pk=trial.pk, done_at__isnull=True).update(done_at=now, verdict=Verdict.UNSURE, note=note)


def _begun(trial: Trial, outgoing: Outgoing) -> _Run | None:
    try:
        whole = target_of(trial, trial.candidate)
    except Candidate.DoesNotExist:  # given up since it was claimed
        _give_up(trial, outgoing.clock(), GONE)
        return None
    except (ValueError, InvalidToken):  # settings that no form of ours lets through; a key that is gone
        _give_up(trial, outgoing.clock(), OURS)
        return None
    legs = [replace(whole, imap=None)] if whole.smtp else []
    legs += [replace(whole, smtp=None)] if whole.imap else []
    if not legs:
        _give_up(trial, outgoing.clock(), OURS)
        return None
    return _Run(trial, trial.candidate, outgoing.clock(), legs)


def _next(run: _Run, pool: Pool[_Run, Report], outgoing: Outgoing) -> None:
    target = run.targets.pop(0)
    if run.reports and not run.reports[0].ok:
        target = replace(target, message=None)  # what was not sent is not looked for
    leg = target.smtp or target.imap
    assert leg is not None
    pool.add(Job(run, leg.endpoint.host, partial(_one_leg, target, outgoing)))


async def _one_leg(target: Target, outgoing: Outgoing) -> Report:
    (report,) = await check(target, outgoing.mail)
    return report


def target_of(trial: Trial, candidate: Candidate) -> Target:
    """Both legs as they are to be tested, with the message to itself."""
    place = trial.place
    grant = None
    if trial.kind == CredentialKind.OAUTH:
        assert trial.oauth_client is not None
        grant = Grant(without_secret(trial.oauth_client), "", candidate.access_token or "", None)
    subject = Subject(
        mailbox_id=trial.mailbox_id or 0,
        address=trial.address,
        credential_version=0,
        smtp=endpoint(place, Leg.SMTP),
        imap=endpoint(place, Leg.IMAP),
        smtp_username=place.get("smtp_username", ""),
        imap_username=place.get("imap_username", ""),
        folder=place.get("imap_folder") or "INBOX",
        password=candidate.password or "",
        imap_password=candidate.imap_password or "",
        grant=grant,
    )
    target = subject.target(candidate.access_token or "", to_itself(subject))
    return replace(target, list_folders=target.imap is not None)


def _conclude(run: _Run, now: datetime) -> None:
    """Verdict and, where it passed, the new credential: one transaction. A late worker changes nothing."""
    findings = [_finding(run.trial.place, report) for report in run.reports]
    one_secret = run.trial.kind == CredentialKind.OAUTH or not run.candidate.imap_password
    judged = judge(findings, one_secret=one_secret, must_arrive=run.trial.must_arrive)
    with transaction.atomic():
        mine = Trial.objects.filter(pk=run.trial.pk, done_at__isnull=True)
        if not mine.update(done_at=now, **_result(run, judged)):
            return
        if judged.verdict is Verdict.REFUSED and not judged.note:
            Candidate.objects.filter(trial=run.trial).delete()
        elif run.trial.test_only:
            return
        elif judged.verdict is Verdict.PASSED:
            keep_tested(run.trial, findings, begun_at=run.begun_at, now=now)
        elif judged.verdict is Verdict.UNSURE and run.trial.kind == CredentialKind.OAUTH and not run.trial.must_arrive:
            # A consent just given is never worse than the one before: nobody is asked to give it again.
            keep_tested(run.trial, (), begun_at=run.begun_at, now=now)


def _finding(place: Mapping[str, object], report: Report) -> Finding:
    step = report.failed
    if step is None:
        return Finding(report)
    provider = family(str(place.get("provider", "")))
    return Finding(report, diagnose(Reply(step.text, report.leg.value, step.stage.value, provider, step.code)))


def _result(run: _Run, judged: Judged) -> dict[str, object]:
    behind = judged.behind
    values: dict[str, object] = {
        "verdict": judged.verdict,
        "note": judged.note,
        "legs": [steps_of(report) for report in run.reports],
        "folders": _folders(run.reports),
    }
    if behind is None or behind.diagnosis is None or behind.report.failed is None:
        return values
    step = behind.report.failed
    return values | {
        "category": behind.diagnosis.category.value,
        "rule": behind.diagnosis.rule,
        "leg": behind.report.leg.value,
        "stage": step.stage.value,
        "text": step.text,
    }


def _folders(reports: Sequence[Report]) -> list[str]:
    return [name for report in reports for name in report.folders]
