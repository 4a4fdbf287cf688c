"""What a test of new credentials comes to (SPEC C6). Pure: reports and diagnoses in, a verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailboxes.diagnosis.categories import Category, Course
from mailboxes.diagnosis.values import Diagnosis
from mailboxes.states import Verdict
from mailboxes.wire.values import Leg, Report, Stage

LATE = "The test message was sent and has not arrived yet; some servers take minutes. Everything else works."
ELSEWHERE = "The test message did not come into the mailbox that was opened: it may be another one than this address's."
ONE_SIDED = "IMAP accepts this password and SMTP refuses it: it is not simply wrong."
SENDS_ALONE = "SMTP works, IMAP fails."


@dataclass(frozen=True, slots=True)
class Finding:
    """One leg of the test: its report, and the diagnosis of its failure."""

    report: Report
    diagnosis: Diagnosis | None = None

    @property
    def is_late(self) -> bool:
        """True where all works and the message alone is still on its way."""
        step = self.report.failed
        return step is not None and step.stage is Stage.READ and step.code == "NOT_ARRIVED"

    @property
    def arrived(self) -> bool:
        """True where the test message was found."""
        return any(step.stage is Stage.READ and step.ok for step in self.report.steps)

    @property
    def works(self) -> bool:
        """True where this leg stands in nobody's way."""
        return self.report.ok or self.is_late

    @property
    def logged_in(self) -> bool:
        """True where the login was accepted."""
        return any(step.stage is Stage.AUTH and step.ok for step in self.report.steps)

    def without_lateness(self) -> Report:
        """The report as evidence: what is late is no failure of the mailbox."""
        if not self.is_late:
            return self.report
        return replace(self.report, steps=tuple(step for step in self.report.steps if step.ok))


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, the finding that stands behind it, and a sentence beside it."""

    verdict: Verdict
    behind: Finding | None = None
    note: str = ""


def judge(findings: Sequence[Finding], *, one_secret: bool, must_arrive: bool = False) -> Judged:
    """Passed, refused, or unsure. `one_secret` is true where both legs log in with the same one (X3); `must_arrive`
    where the arrival alone shows that the account is the mailbox's (FACTS A45)."""
    failing = [finding for finding in findings if not finding.works]
    late = next((finding for finding in findings if finding.is_late), None)
    if not failing and must_arrive and not any(finding.arrived for finding in findings):
        return Judged(Verdict.UNSURE, late, ELSEWHERE)
    if not failing:
        return Judged(Verdict.PASSED, note=LATE if late is not None else "")
    if one_secret and _one_sided(findings):
        return Judged(Verdict.UNSURE, failing[0], ONE_SIDED)
    note = SENDS_ALONE if _sends(findings) else ""
    refused = next((finding for finding in failing if _is_refusal(finding)), None)
    return Judged(Verdict.REFUSED, refused, note) if refused else Judged(Verdict.UNSURE, failing[0], note)


def _is_refusal(finding: Finding) -> bool:
    found = finding.diagnosis
    if found is None or found.cured_elsewhere:
        return False
    return found.course in (Course.REFUSAL, Course.SETTINGS)


def _one_sided(findings: Sequence[Finding]) -> bool:
    by_leg = {finding.report.leg: finding for finding in findings}
    smtp, imap = by_leg.get(Leg.SMTP), by_leg.get(Leg.IMAP)
    refused = smtp is not None and smtp.diagnosis is not None and smtp.diagnosis.category is Category.AUTH_FAILED
    return refused and imap is not None and imap.logged_in


def _sends(findings: Sequence[Finding]) -> bool:
    works = {finding.report.leg: finding.works for finding in findings}
    return works.get(Leg.SMTP, False) and works.get(Leg.IMAP) is False
