"""What the evidence of one mailbox makes of it. Values in, values out; `record` reads before and writes after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailboxes.diagnosis.categories import MATRIX, Category, Course
from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.health import limits
from mailboxes.health.evidence import Evidence
from mailboxes.health.failure_class import Hold
from mailboxes.health.policy import MAIL_LEGS, LegState, Standing, failed, flagged, is_stale, passed, standing
from mailboxes.health.thresholds import DEFAULT, Thresholds
from mailboxes.providers.limits import limits_of
from mailboxes.states import CredentialKind, Source
from mailboxes.wire.values import Leg, Stage, Step

ONE_SIDED = {
    Leg.SMTP: "smtp-refuses-what-imap-accepts",
    Leg.IMAP: "imap-refuses-what-smtp-accepts",
}
_WITH_A_MESSAGE = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.READ})
STALE_CREDENTIAL = "older credential"
STALE_ATTEMPT = "begun before the last success"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mailbox as it stands before the evidence. `legs` are the wanted ones.

    `one_login`: both mail legs log in with the same secret under the same user name. `scopes` name its provider or
    hosts for incidents, by leg; `budget_keys` what its hosts' refused logins are counted by, where no provider is
    known (X6).
    """

    id: int
    state_version: int
    status_since: datetime
    provider: str
    provider_family: str
    tenant: str
    credential_version: int
    credential_kind: CredentialKind
    oauth_client: str
    one_login: bool
    workspace_id: int
    domain: str
    scopes: Mapping[Leg, str]
    budget_keys: Mapping[Leg, str]
    standing: Standing
    next_check_at: datetime | None
    last_check_at: datetime | None
    resting_until: datetime | None
    throttled_until: datetime | None
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
    evidence: Sequence[Evidence] = ()
    filed: list[Filed] = field(default_factory=list)
    last: Evidence | None = None
    resting_until: datetime | None = None
    resting_reason: str = ""
    throttled_until: datetime | None = None
    holds: Sequence[Hold] = ()
    use: limits.Buckets = field(default_factory=dict)
    ours: list[Filed] = field(default_factory=list)
    capped: bool = False
    # Why it is decided, where no evidence says so.
    why: Source = Source.INCIDENT

    @property
    def moves(self) -> bool:
        """True where status, pause reason or cause are others than before."""
        return self.standing != self.snapshot.standing


def decide(
    snapshot: Snapshot,
    evidence: Sequence[Evidence],
    diagnose: Callable[[Reply], Diagnosis],
    now: datetime,
    *,
    holds: Sequence[Hold] = (),
    numbers: Thresholds = DEFAULT,
) -> Decision:
    """Apply the evidence in the order in which it was observed (H7 files the stale). `holds` are the incidents that
    explain failures of this mailbox's legs (H9)."""
    legs = dict(snapshot.legs)
    ordered = sorted(evidence, key=lambda item: item.observed_at)
    decision = Decision(snapshot, legs, snapshot.standing, ordered, holds=holds, use=snapshot.use)
    for item in ordered:
        if item.recipients:
            decision.use = limits.count(decision.use, item.recipients, item.observed_at)
        _apply(item, ordered, decision, diagnose, numbers)
    if decision.last is not None:
        _stand(decision, decision.last.observed_at, now, numbers)
    return decision


def reconsider(
    snapshot: Snapshot,
    now: datetime,
    *,
    holds: Sequence[Hold] = (),
    numbers: Thresholds = DEFAULT,
    by_word: bool = False,
) -> Decision:
    """Decide anew without evidence: an incident began or ended, or a person said that it is none (H9)."""
    decision = Decision(snapshot, dict(snapshot.legs), snapshot.standing, holds=holds, use=snapshot.use)
    _stand(decision, now, now, numbers, by_word=by_word)
    return decision


def hold_back(decision: Decision, now: datetime, numbers: Thresholds = DEFAULT) -> None:
    """Take the flag back that this decision would set: too many are flagged at this moment (H9, the cap)."""
    before = decision.snapshot.legs
    for leg, state in decision.legs.items():
        if before[leg].flagged_at is None:
            decision.legs[leg] = replace(state, flagged_at=None)
    decision.capped = True
    decision.standing = standing(
        decision.legs, now, provider_family=decision.snapshot.provider_family, holds=decision.holds, numbers=numbers
    )


def _stand(decision: Decision, at: datetime, now: datetime, numbers: Thresholds, *, by_word: bool = False) -> None:
    snapshot, holds = decision.snapshot, decision.holds
    one_login = snapshot.one_login
    decision.legs.update(flagged(decision.legs, at, one_login=one_login, holds=holds, numbers=numbers, by_word=by_word))
    decision.standing = standing(
        decision.legs, now, provider_family=snapshot.provider_family, holds=holds, numbers=numbers
    )


def _apply(
    item: Evidence,
    together: Sequence[Evidence],
    decision: Decision,
    diagnose: Callable[[Reply], Diagnosis],
    numbers: Thresholds,
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
    _move(filed, state, decision, numbers)


def _move(filed: Filed, state: LegState, decision: Decision, numbers: Thresholds) -> None:
    item, diagnosis = filed.evidence, filed.diagnosis
    assert item.failure is not None
    if diagnosis.course is Course.THROTTLED:
        wait = limits.throttled_for(item.failure.text, state.throttled, numbers)
        decision.throttled_until = max(item.observed_at + wait, decision.throttled_until or item.observed_at)
    elif diagnosis.course is Course.RESTING:
        _rest(item.failure.text, diagnosis.variant, item.observed_at, decision)
    elif diagnosis.course is Course.OURS:
        decision.ours.append(filed)
        if diagnosis.category is Category.RATE_LIMITED:  # a ban of our address lasts longer with each login
            wait = numbers.throttled_first
            decision.throttled_until = max(item.observed_at + wait, decision.throttled_until or item.observed_at)
    decision.legs[item.leg] = failed(state, diagnosis, item.failure, item.observed_at, decision.holds, item.leg)


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
    """X3: what one leg accepted in the same check is not a wrong secret, whatever the other one says of it. A reply
    that names its cause stands."""
    is_bare = diagnosis.category is Category.AUTH_FAILED and "5.7.139" not in diagnosis.rule
    if not is_bare or not snapshot.one_login or item.leg not in MAIL_LEGS:
        return diagnosis
    if not any(_accepted(other, item) for other in together):
        return diagnosis
    traits = MATRIX[Category.UNKNOWN]
    return replace(
        diagnosis,
        category=Category.UNKNOWN,
        rule=ONE_SIDED[item.leg],
        actor=traits.actor,
        needs_reconnect=traits.needs_reconnect,
        course=traits.course,
        cured_elsewhere=traits.cured_elsewhere,
        cross_checked=True,
    )


def _accepted(other: Evidence, item: Evidence) -> bool:
    """Whether the other mail leg's login was accepted in the same attempt, with the same version of the secret."""
    is_other = other.leg in MAIL_LEGS and other.leg is not item.leg
    same = other.begun_at == item.begun_at and other.credential_version == item.credential_version
    return is_other and same and _logged_in(other)


def _logged_in(other: Evidence) -> bool:
    after_login = (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.SELECT, Stage.READ)
    return other.failure is None or other.failure.stage in after_login
