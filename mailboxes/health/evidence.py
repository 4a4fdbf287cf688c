"""Evidence: one observed success or failure of a leg, from whatever source (H2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mailboxes.states import Source
from mailboxes.wire.values import Leg, Report, Stage, Step


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one leg of one mailbox, when, and with which version of the credential.

    `failure` is the failed step, or None for a success; `recipients` is to how many a message was accepted meanwhile,
    `took_ms` how long the leg took. Times are UTC.
    """

    mailbox_id: int
    leg: Leg
    source: Source
    credential_version: int
    begun_at: datetime
    observed_at: datetime
    failure: Step | None = None
    recipients: int = 0
    took_ms: int = 0


def from_report(
    report: Report,
    *,
    mailbox_id: int,
    source: Source,
    credential_version: int,
    begun_at: datetime,
    observed_at: datetime,
) -> Evidence:
    """The evidence of one leg's report."""
    return Evidence(
        mailbox_id=mailbox_id,
        leg=report.leg,
        source=source,
        credential_version=credential_version,
        begun_at=begun_at,
        observed_at=observed_at,
        failure=report.failed,
        took_ms=report.duration_ms,
        recipients=sum(step.ok and step.stage is Stage.DATA for step in report.steps),
    )
