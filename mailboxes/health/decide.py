"""What the evidence of one mailbox makes of it. Values in, values out; `record` reads before and writes after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailboxes.diagnosis.categories import MATRIX, Category, Course
from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.health import limits
from mailboxes.health.evidence import Evidence
from mailboxes.health.policy import LegState, Policy, Standing, failed, is_stale, passed, standing
from mailboxes.providers.limits import limits_of
from mailboxes.states import CredentialKind
from mailboxes.wire.values import Leg, Stage, Step

SMTP_ALONE_REFUSES = "smtp-refuses-what-imap-accepts"
_WITH_A_MESSAGE = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.READ})
STALE_CREDENTIAL = "older credential"
STALE_ATTEMPT = "begun before the last success"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mailbox as it stands before the evidence. `legs` are the wanted ones."""

    id: int
    state_version: int
    status_since: datetime
    provider: str
    provider_family: str
    tenant: str
    credential_version: int
    credential_kind: CredentialKind
    oauth_client: str
    one_secret: bool
    standing: Standing
    next_check_at: datetime | None
    resting_until: datetime | None
    use: limits.Buckets
    legs: Mapping[Leg, LegState]


@dataclass(frozen=True, slots=True)
class Filed:
    """A failure to be kept, with its diagnosis; `ignored` says why it moved nothing."""

    evidence: Evidence
    diagnosis: Diagnosis
    ignored: str = ""


@dataclass(slots=True)
class Decision:
    """What follows: the legs' new memory, the standing, failures to file, and what else was noticed."""

    snapshot: Snapshot
    legs: dict[Leg, LegState]
    standing: Standing
    filed: list[Filed] = field(default_factory=list)
    last: Evidence | None = None
    resting_until: datetime | None = None
    resting_reason: str = ""
    use: limits.Buckets = field(default_factory=dict)
    ours: list[Filed] = field(default_factory=list)

    @property
    def moves(self) -> bool:
        """True where status, pause reason or cause are others than before."""
        return self.last is not None and self.standing != self.snapshot.standing


def decide(
    snapshot: Snapshot,
    evidence: Sequence[Evidence],
    diagnose: Callable[[Reply], Diagnosis],
    now: datetime,
    policy: Policy | None = None,
) -> Decision:
    """Apply the evidence in the order in which it was observed (H7 files the stale)."""
    legs = dict(snapshot.legs)
    decision = Decision(snapshot, legs, snapshot.standing, use=snapshot.use)
    ordered = sorted(evidence, key=lambda item: item.observed_at)
    for item in ordered:
        if item.recipients:
            decision.use = limits.count(decision.use, item.recipients, item.observed_at)
        _apply(item, ordered, decision, diagnose)
    if decision.last is not None:
        decision.standing = standing(legs, now, provider_family=snapshot.provider_family, policy=policy)
    return decision


def _apply(
    item: Evidence, together: Sequence[Evidence], decision: Decision, diagnose: Callable[[Reply], Diagnosis]
) -> None:
    current = item.credential_version == decision.snapshot.credential_version
    state = decision.legs.get(item.leg)
    if item.failure is None:
        outlived = state is not None and state.last_failure is not None and item.observed_at < state.last_failure
        if current and state is not None and not outlived:
            decision.legs[item.leg] = passed(state, item.observed_at)
            decision.last = item
        return
    diagnosis = at_the_door(item.failure, diagnose(_reply(item, decision.snapshot)))
    diagnosis = _cross_checked(item, together, decision.snapshot, diagnosis)
    ignored = "" if current else STALE_CREDENTIAL
    if state is not None and not ignored and is_stale(state, item.begun_at):
        ignored = STALE_ATTEMPT
    filed = Filed(item, diagnosis, ignored)
    decision.filed.append(filed)
    if state is None or ignored:
        return
    decision.last = item
    _move(filed, state, decision)


def _move(filed: Filed, state: LegState, decision: Decision) -> None:
    item, diagnosis = filed.evidence, filed.diagnosis
    assert item.failure is not None
    if diagnosis.course is Course.RESTING:
        _rest(item.failure.text, diagnosis.variant, item.observed_at, decision)
    elif diagnosis.course is Course.OURS:
        decision.ours.append(filed)
    decision.legs[item.leg] = failed(state, diagnosis, item.failure, item.observed_at)


def _rest(text: str, variant: str, at: datetime, decision: Decision) -> None:
    """Until the provider's window has passed; a shorter one never ends a longer rest."""
    until = at + limits.rest_for(text, variant, limits_of(decision.snapshot.provider), decision.use, at)
    known = decision.resting_until or decision.snapshot.resting_until
    if known is None or until > known:
        decision.resting_until, decision.resting_reason = until, text


def _reply(item: Evidence, snapshot: Snapshot) -> Reply:
    assert item.failure is not None
    return Reply(
        text=item.failure.text,
        leg=item.leg,
        stage=item.failure.stage,
        provider=snapshot.provider_family,
        code=item.failure.code,
    )


def at_the_door(step: Step, diagnosis: Diagnosis) -> Diagnosis:
    """Words about a message or its sender that come before any message keep the mailbox from working all the same. And
    a server that puts off one recipient, after login and sender have passed, says nothing of the mailbox."""
    if diagnosis.course is Course.IGNORED and step.stage not in _WITH_A_MESSAGE:
        return replace(diagnosis, course=Course.PASSING)
    is_put_off = step.stage is Stage.RCPT and step.code.startswith("4")
    if is_put_off and diagnosis.category is Category.TEMPORARY:
        return replace(diagnosis, course=Course.IGNORED)
    return diagnosis


def _cross_checked(item: Evidence, together: Sequence[Evidence], snapshot: Snapshot, diagnosis: Diagnosis) -> Diagnosis:
    """X3: what IMAP accepted in the same check is not a wrong password, whatever SMTP says of it."""
    if item.leg is not Leg.SMTP or diagnosis.category is not Category.AUTH_FAILED:
        return diagnosis
    if snapshot.credential_kind is not CredentialKind.PASSWORD or not snapshot.one_secret:
        return diagnosis
    same_check = (
        other for other in together if other.leg is Leg.IMAP and other.begun_at == item.begun_at and _logged_in(other)
    )
    if next(same_check, None) is None:
        return diagnosis
    traits = MATRIX[Category.UNKNOWN]
    return replace(
        diagnosis,
        category=Category.UNKNOWN,
        rule=SMTP_ALONE_REFUSES,
        actor=traits.actor,
        needs_reconnect=traits.needs_reconnect,
        course=traits.course,
        cured_elsewhere=traits.cured_elsewhere,
    )


def _logged_in(other: Evidence) -> bool:
    return other.failure is None or other.failure.stage in (Stage.SELECT, Stage.READ)
