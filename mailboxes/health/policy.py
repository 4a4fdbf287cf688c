"""How observations move a leg, and legs make a status (SPEC H3 to H6, H9, H16; D1). Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mailboxes.diagnosis.categories import Category, Course
from mailboxes.diagnosis.values import Diagnosis
from mailboxes.health.failure_class import Hold, class_of
from mailboxes.health.thresholds import DEFAULT, Thresholds
from mailboxes.states import PauseReason, Status
from mailboxes.wire.values import Leg, Step

# Waiting alone never makes these ask for a reconnect (SPEC D1: no pause reason in their row).
_NO_DISCONNECT = frozenset({Category.DNS_FAILURE})
_PAUSE = {
    Category.TENANT_SMTP_DISABLED: PauseReason.TENANT_SMTP_DISABLED,
    Category.PROVIDER_BLOCK: PauseReason.PROVIDER_BLOCK,
}
_AT_LOGIN = frozenset({"auth", "token"})
# What is refused here was logged in: no further login could confirm it.
_WITH_A_MESSAGE = frozenset({"mail", "rcpt", "data"})
# Worst last.
_ORDER = (Status.CONNECTED, Status.UNVERIFIED, Status.SUSPECT, Status.ERROR, Status.NEEDS_REAUTH)
MAIL_LEGS = (Leg.SMTP, Leg.IMAP)
# These say nothing of the secret: the other leg goes on as usual.
ABOUT_ONE_LEG = frozenset({Category.TENANT_SMTP_DISABLED, Category.IMAP_DISABLED})


@dataclass(frozen=True, slots=True)
class Cause:
    """What stands behind a status; all "" where the mailbox is well. `text` holds the server's words, cleaned."""

    category: str = ""
    actor: str = ""
    leg: str = ""
    stage: str = ""
    rule: str = ""
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class LegState:
    """What is remembered of one leg. An open failure is one with no success of the leg since.

    `failures` and `open_since` count the present episode, whatever its causes; `unsure` and `unsure_since` those of
    its failures that no rule could read (H6); `refused` and the times beside it the logins that were refused with
    this secret (H4). `flagged_at` is when the refusal became certain. `cross_checked`: the other leg accepts the same
    secret (X3). `no_retry`: the provider says that attempts are the reason. `throttled` counts "too many logins".
    """

    last_ok: datetime | None = None
    open_since: datetime | None = None
    last_failure: datetime | None = None
    failures: int = 0
    unsure: int = 0
    unsure_since: datetime | None = None
    refused: int = 0
    refused_since: datetime | None = None
    refused_last: datetime | None = None
    flagged_at: datetime | None = None
    throttled: int = 0
    category: Category | None = None
    course: Course | None = None
    rule: str = ""
    stage: str = ""
    actor: str = ""
    text: str = ""
    cured_elsewhere: bool = False
    cross_checked: bool = False
    no_retry: bool = False

    @property
    def is_refused(self) -> bool:
        """True while a refusal of the secret is open, flagged or not."""
        return self.course is Course.REFUSAL

    @property
    def is_unsure_at_login(self) -> bool:
        """True while a reply at login is open that nobody can read."""
        return self.course is Course.UNSURE and self.stage in _AT_LOGIN


@dataclass(frozen=True, slots=True)
class Standing:
    """A mailbox's health as its legs make it. The cause is that of the worst wanted leg."""

    status: Status
    pause_reason: PauseReason = PauseReason.NONE
    cause: Cause = Cause()
    auth_failure_open: bool = False
    settings_fault: bool = False

    @property
    def state(self) -> tuple[Status, PauseReason]:
        """What a status change is a change of."""
        return self.status, self.pause_reason


def passed(state: LegState, at: datetime) -> LegState:
    """Return the leg after it worked at `at`: its episode is over."""
    return LegState(last_ok=max(at, state.last_ok or at))


def failed(
    state: LegState, diagnosis: Diagnosis, step: Step, at: datetime, holds: Iterable[Hold] = (), leg: Leg = Leg.SMTP
) -> LegState:
    """Return the leg after it failed at `at`. A refusal stands until the leg passes; a weaker cause never covers it.

    What is refused while an incident explains it does not count towards a flag: afterwards H4 begins anew.
    """
    if diagnosis.course in (Course.RESTING, Course.IGNORED, Course.OURS):
        return state
    if diagnosis.course is Course.THROTTLED:
        return replace(state, throttled=state.throttled + 1)
    if _is_our_fault(diagnosis, step, holds, leg):
        return state
    episode = _counted(state, diagnosis, at)
    if state.is_refused and diagnosis.course is not Course.REFUSAL:
        return episode
    if state.flagged_at is not None and diagnosis.course is not Course.REFUSAL:
        return episode
    episode = replace(
        episode,
        category=diagnosis.category,
        course=diagnosis.course,
        rule=diagnosis.rule,
        stage=step.stage.value,
        actor=diagnosis.actor.value,
        text=step.text,
        cured_elsewhere=diagnosis.cured_elsewhere,
        cross_checked=diagnosis.cross_checked,
        no_retry=diagnosis.no_retry,
    )
    if diagnosis.course is Course.REFUSAL and is_held(episode, leg, holds):
        return replace(episode, refused=0, refused_since=None, refused_last=at)
    return episode


def _is_our_fault(diagnosis: Diagnosis, step: Step, holds: Iterable[Hold], leg: Leg) -> bool:
    alike = class_of(diagnosis.category, step.stage.value)
    return any(hold.ours and hold.leg is leg and hold.failure_class is alike for hold in holds)


def _counted(state: LegState, diagnosis: Diagnosis, at: datetime) -> LegState:
    episode = replace(
        state,
        open_since=state.open_since or at,
        last_failure=max(at, state.last_failure or at),
        failures=state.failures + 1,
        throttled=0,
    )
    if diagnosis.course is Course.UNSURE:
        return replace(episode, unsure=state.unsure + 1, unsure_since=state.unsure_since or at)
    if diagnosis.course is Course.REFUSAL:
        return replace(
            episode,
            refused=state.refused + 1,
            refused_since=state.refused_since or at,
            refused_last=max(at, state.refused_last or at),
        )
    return episode


def is_stale(state: LegState, begun: datetime) -> bool:
    """Return whether a failure's attempt began before the leg's last success (H7)."""
    return state.last_ok is not None and begun < state.last_ok


def is_held(state: LegState, leg: Leg, holds: Iterable[Hold]) -> bool:
    """Return whether an incident explains this leg's open failure (H9). What is older than the incident is not."""
    begun = state.flagged_at or state.open_since
    alike = (hold for hold in holds if hold.leg is leg and hold.failure_class is class_of(state.category, state.stage))
    return begun is not None and any(begun >= hold.since for hold in alike)


def _is_ours(state: LegState, leg: Leg, holds: Iterable[Hold]) -> bool:
    return is_held(state, leg, [hold for hold in holds if hold.ours])


def flagged(
    legs: Mapping[Leg, LegState],
    at: datetime,
    *,
    one_login: bool,
    holds: Sequence[Hold] = (),
    numbers: Thresholds = DEFAULT,
    by_word: bool = False,
) -> dict[Leg, LegState]:
    """Return the legs, those marked whose refusal is certain by now (H4, H6) and held by no incident.

    `by_word`: a person says that open refusals are meant.
    """

    def is_certain(leg: Leg, state: LegState) -> bool:
        if state.flagged_at is not None or is_held(state, leg, holds):
            return False
        by_a_person = by_word and state.is_refused
        return by_a_person or _is_certain(state, _with_same_secret(leg, legs, one_login=one_login), numbers)

    return {leg: replace(state, flagged_at=at) if is_certain(leg, state) else state for leg, state in legs.items()}


def _with_same_secret(leg: Leg, legs: Mapping[Leg, LegState], *, one_login: bool) -> list[LegState]:
    if not one_login or leg not in MAIL_LEGS:
        return [legs[leg]]
    return [legs[other] for other in MAIL_LEGS if other in legs]


def _is_certain(state: LegState, same: Sequence[LegState], numbers: Thresholds) -> bool:
    if not state.is_refused:
        return state.is_unsure_at_login and not state.cross_checked and _unsure_long_enough(state, numbers)
    if state.refused == 0:  # refused while an incident explained it: it has to be refused again
        return False
    if all(one.last_ok is None for one in same):  # a secret that never worked
        return True
    if is_named(state) and state.stage in _WITH_A_MESSAGE:
        return True
    if is_named(state):
        return state.refused >= numbers.named_logins and _refused_for([state]) >= numbers.named_lasts
    refused = [one for one in same if one.is_refused and one.category not in ABOUT_ONE_LEG]
    return sum(one.refused for one in refused) >= numbers.bare_logins and _refused_for(refused) >= numbers.bare_lasts


def is_named(state: LegState) -> bool:
    """Return whether the refusal names its cause, so that one more attempt is enough (H4)."""
    return state.category is not Category.AUTH_FAILED or "5.7.139" in state.rule


def _refused_for(legs: Iterable[LegState]) -> timedelta:
    times = [(one.refused_since, one.refused_last) for one in legs]
    begun = [since for since, _last in times if since is not None]
    last = [until for _since, until in times if until is not None]
    return max(last) - min(begun) if begun and last else timedelta(0)


def leg_status(
    state: LegState, numbers: Thresholds = DEFAULT, *, leg: Leg = Leg.SMTP, holds: Iterable[Hold] = ()
) -> Status:
    """Return the status that this leg alone would give."""
    well = Status.CONNECTED if state.last_ok else Status.UNVERIFIED
    if state.course is None:
        return well
    if is_held(state, leg, holds):
        untouched = not state.last_ok or _is_single_passing(state, numbers) or _is_ours(state, leg, holds)
        return well if untouched else Status.SUSPECT
    if state.flagged_at is not None:
        return Status.NEEDS_REAUTH
    if _is_single_passing(state, numbers):
        return well
    return Status.ERROR if _confirmed(state, numbers) else Status.SUSPECT


def _is_single_passing(state: LegState, numbers: Thresholds) -> bool:
    """H5: one failure that may pass changes nothing but the next attempt."""
    return state.course is Course.PASSING and state.failures < numbers.suspect_failures


def standing(
    legs: Mapping[Leg, LegState],
    now: datetime,
    *,
    provider_family: str = "",
    holds: Sequence[Hold] = (),
    numbers: Thresholds = DEFAULT,
) -> Standing:
    """Return the status of the worst wanted leg, and why. `legs` holds the wanted ones."""
    statuses = {leg: leg_status(state, numbers, leg=leg, holds=holds) for leg, state in legs.items()}
    worst = max(legs, key=lambda leg: _ORDER.index(statuses[leg]), default=None)
    if worst is None:
        return Standing(Status.UNVERIFIED)
    state, status = legs[worst], statuses[worst]
    is_well = status in (Status.CONNECTED, Status.UNVERIFIED) and not is_held(state, worst, holds)
    return Standing(
        status=status,
        pause_reason=_pause_reason(status, state, now, provider_family, numbers),
        cause=Cause() if is_well else _cause(worst, state),
        auth_failure_open=any(leg.is_refused for leg in legs.values()),
        settings_fault=status is Status.ERROR and state.course is Course.SETTINGS,
    )


def _unsure_long_enough(state: LegState, numbers: Thresholds) -> bool:
    """H6: logins at 0, 15, 60 and 120 minutes, and still nobody can read the refusal."""
    logins = numbers.unsure_logins
    return state.unsure >= len(logins) and _lasted(state.unsure_since, state.last_failure) >= logins[-1]


def _confirmed(state: LegState, numbers: Thresholds) -> bool:
    """H5 and H16: lasted ten minutes, over three checks, or two for a settings fault."""
    if state.is_refused:
        return False
    if state.is_unsure_at_login:  # X3: the other leg accepts the secret; this one is down, and nobody's password wrong
        return state.cross_checked and _unsure_long_enough(state, numbers)
    checks = numbers.settings_checks if state.course is Course.SETTINGS else numbers.confirm_checks
    return state.failures >= checks and _lasted(state.open_since, state.last_failure) >= numbers.confirm_lasts


def _lasted(since: datetime | None, until: datetime | None) -> timedelta:
    return until - since if since and until else timedelta(0)


def _cause(leg: Leg, state: LegState) -> Cause:
    if state.category is None:
        return Cause()
    return Cause(state.category.value, state.actor, leg.value, state.stage, state.rule, state.text)


def _pause_reason(status: Status, state: LegState, now: datetime, family: str, numbers: Thresholds) -> PauseReason:
    if status is Status.NEEDS_REAUTH:
        return _refusal_reason(state, family)
    may_pass = state.course is Course.PASSING or state.cross_checked
    may_ask = status is Status.ERROR and may_pass and state.category not in _NO_DISCONNECT
    is_long = _lasted(state.open_since, now) >= numbers.disconnected_after
    return PauseReason.MAILBOX_DISCONNECTED if may_ask and is_long else PauseReason.NONE


def _refusal_reason(state: LegState, family: str) -> PauseReason:
    if state.course is Course.UNSURE:
        return PauseReason.AUTH_ERRORS
    assert state.category is not None
    if family == "hostinger" and state.category is Category.AUTH_FAILED:
        return PauseReason.HOSTINGER_REAUTH_REQUIRED
    return _PAUSE.get(state.category, PauseReason.AUTH_FAILURE)
