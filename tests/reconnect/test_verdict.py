"""What a test comes to, by values alone (SPEC C6, X3; FACTS A45)."""

from __future__ import annotations

import pytest

from mailboxes.diagnosis.values import Reply
from mailboxes.health.rules import diagnose
from mailboxes.reconnect.verdict import Finding, judge
from mailboxes.states import Verdict
from mailboxes.wire.values import Leg, Report, Stage, Step

OK = {
    Leg.SMTP: (Stage.AUTH, Stage.DATA),
    Leg.IMAP: (Stage.AUTH, Stage.SELECT, Stage.READ),
}


def works(leg: Leg) -> Finding:
    return Finding(Report(leg, tuple(Step(stage, True, 1) for stage in OK[leg])))


def fails(leg: Leg, stage: Stage, code: str, text: str) -> Finding:
    passed = OK[leg][: OK[leg].index(stage)] if stage in OK[leg] else ()
    steps = (*(Step(one, True, 1) for one in passed), Step(stage, False, 1, code, text))
    return Finding(Report(leg, steps), diagnose(Reply(text, leg.value, stage.value, "", code)))


SENT, READ = works(Leg.SMTP), works(Leg.IMAP)
LATE = fails(Leg.IMAP, Stage.READ, "NOT_ARRIVED", "the test message has not arrived in the folder yet")
REFUSED = fails(Leg.SMTP, Stage.AUTH, "535 5.7.8", "535 5.7.8 Error: authentication failed")
IMAP_REFUSED = fails(Leg.IMAP, Stage.AUTH, "NO AUTHENTICATIONFAILED", "A1 NO [AUTHENTICATIONFAILED] failed.")
OFF = fails(Leg.SMTP, Stage.AUTH, "535 5.7.139", "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.")
EXPIRED = fails(Leg.IMAP, Stage.TLS, "CERTIFICATE_VERIFY_FAILED", "certificate verify failed: certificate has expired")


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([SENT, READ], Verdict.PASSED),
        ([SENT, LATE], Verdict.PASSED),
        ([SENT], Verdict.PASSED),
        ([REFUSED, IMAP_REFUSED], Verdict.REFUSED),
        ([REFUSED, READ], Verdict.UNSURE),
        ([SENT, IMAP_REFUSED], Verdict.REFUSED),
        ([SENT, EXPIRED], Verdict.REFUSED),
        ([OFF, READ], Verdict.UNSURE),
    ],
)
def test_c6_the_verdict_follows_from_the_legs(findings: list[Finding], verdict: Verdict) -> None:
    assert judge(findings, one_secret=True).verdict is verdict


def test_x3_two_secrets_are_judged_each_by_itself() -> None:
    assert judge([REFUSED, READ], one_secret=False).verdict is Verdict.REFUSED


@pytest.mark.parametrize("findings", [[SENT, LATE], [SENT], [Finding(Report(Leg.IMAP, READ.report.steps[:2]))]])
def test_a45_for_somebody_elses_sign_in_the_arrival_alone_proves_the_mailbox(findings: list[Finding]) -> None:
    assert judge(findings, one_secret=True, must_arrive=True).verdict is Verdict.UNSURE
    assert judge([SENT, READ], one_secret=True, must_arrive=True).verdict is Verdict.PASSED
