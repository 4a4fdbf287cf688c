"""How evidence moves a leg, and legs make a status (SPEC H3 to H7, H10, H16; D1). Pure: values in, values out."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mailboxes.diagnosis.categories import Category, Course
from mailboxes.diagnosis.values import Diagnosis
from mailboxes.states import PauseReason, Status
from mailboxes.wire.values import Leg, Step

CHECK_AGAIN = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15))
UNSURE_LOGINS = tuple(timedelta(minutes=minutes) for minutes in (0, 15, 60, 120))
CONFIRM_AFTER = timedelta(minutes=10)
CONFIRM_CHECKS = 3
SETTINGS_CHECKS = 2
BROKEN_EVERY = timedelta(minutes=15)
BROKEN_LONG_EVERY = timedelta(hours=1)
BROKEN_LONG = timedelta(days=1)
CONNECTED_EVERY = timedelta(minutes=60)
CONNECTED_SPREAD = 0.2
CURED_ELSEWHERE_EVERY = timedelta(days=1)
TENANT_PROBE_EVERY = timedelta(seconds=45)
TENANT_PROBE_LATER = timedelta(minutes=10)
TENANT_PROBE_EAGER_FOR = timedelta(hours=24)
DISCONNECTED_AFTER = timedelta(hours=24)

# Waiting alone never makes these ask for a reconnect (SPEC D1: no pause reason in their row).
_NO_DISCONNECT = frozenset({Category.DNS_FAILURE})
_PAUSE = {
    Category.TENANT_SMTP_DISABLED: PauseReason.TENANT_SMTP_DISABLED,
    Category.PROVIDER_BLOCK: PauseReason.PROVIDER_BLOCK,
}
_AT_LOGIN = frozenset({"auth", "token"})
# Worst last.
_ORDER = (Status.CONNECTED, Status.UNVERIFIED, Status.SUSPECT, Status.ERROR, Status.NEEDS_REAUTH)


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

    `failures` and `open_since` count the present episode, whatever its causes;
    `unsure` and `unsure_since` those of its failures that no rule could read (H6).
    """

    last_ok: datetime | None = None
    open_since: datetime | None = None
    last_failure: datetime | None = None
    failures: int = 0
    unsure: int = 0
    unsure_since: datetime | None = None
    category: Category | None = None
    course: Course | None = None
    rule: str = ""
    stage: str = ""
    actor: str = ""
    text: str = ""
    cured_elsewhere: bool = False


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


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator may set."""

    disconnected_after: timedelta = DISCONNECTED_AFTER


def passed(state: LegState, at: datetime) -> LegState:
    """The leg worked at `at`: its episode is over."""
    return LegState(last_ok=max(at, state.last_ok or at))


def failed(state: LegState, diagnosis: Diagnosis, step: Step, at: datetime) -> LegState:
    """The leg failed at `at`. A refusal stands until the leg passes; a weaker cause never covers it."""
    if diagnosis.course in (Course.RESTING, Course.IGNORED, Course.OURS):
        return state
    episode = replace(
        state,
        open_since=state.open_since or at,
        last_failure=max(at, state.last_failure or at),
        failures=state.failures + 1,
    )
    if diagnosis.course is Course.UNSURE:
        episode = replace(episode, unsure=state.unsure + 1, unsure_since=state.unsure_since or at)
    if leg_status(state) is Status.NEEDS_REAUTH and diagnosis.course is not Course.REFUSAL:
        return episode
    return replace(
        episode,
        category=diagnosis.category,
        course=diagnosis.course,
        rule=diagnosis.rule,
        stage=step.stage.value,
        actor=diagnosis.actor.value,
        text=step.text,
        cured_elsewhere=diagnosis.cured_elsewhere,
    )


def is_stale(state: LegState, begun: datetime) -> bool:
    """True for a failure whose attempt began before the leg's last success (H7)."""
    return state.last_ok is not None and begun < state.last_ok


def leg_status(state: LegState) -> Status:
    """The status that this leg alone would give."""
    if state.course is None:
        return Status.CONNECTED if state.last_ok else Status.UNVERIFIED
    if state.course is Course.REFUSAL or _unsure_long_enough(state):
        return Status.NEEDS_REAUTH
    return Status.ERROR if _confirmed(state) else Status.SUSPECT


def standing(
    legs: Mapping[Leg, LegState], now: datetime, *, provider_family: str = "", policy: Policy | None = None
) -> Standing:
    """The status of the worst wanted leg, and why. `legs` holds the wanted ones."""
    worst = _worst(legs)
    if worst is None:
        return Standing(Status.UNVERIFIED)
    state, status = legs[worst], leg_status(legs[worst])
    return Standing(
        status=status,
        pause_reason=_pause_reason(status, state, now, provider_family, policy or Policy()),
        cause=_cause(worst, state),
        auth_failure_open=any(leg.course is Course.REFUSAL for leg in legs.values()),
        settings_fault=status is Status.ERROR and state.course is Course.SETTINGS,
    )


def next_check(
    legs: Mapping[Leg, LegState], now: datetime, *, mailbox_id: int, tenant_probe: bool = False, stumbled: bool = False
) -> datetime | None:
    """When the mailbox is due again (H5, H6, H10), or None: only when asked or when its credential changes.

    A check logs in on every leg, so the most careful leg decides: a refused password keeps the others waiting too.
    `stumbled`: the evidence held a failure that moves no status; it must not make the mailbox due at once.
    """
    broken = [state for state in legs.values() if state.course is not None]
    if not broken:
        whole = all(state.last_ok for state in legs.values())
        due = _next_while_whole(legs, now, mailbox_id) if whole else now + BROKEN_EVERY
        return max(due, now + CONNECTED_EVERY) if stumbled and whole else due
    dues = [_next_of_leg(state, now, tenant_probe=tenant_probe) for state in broken]
    known = [due for due in dues if due is not None]
    if len(known) < len(dues):
        return None
    careful = any(state.course in (Course.REFUSAL, Course.UNSURE) for state in broken)
    return max(now, max(known) if careful else min(known))


def _next_of_leg(state: LegState, now: datetime, *, tenant_probe: bool) -> datetime | None:
    if leg_status(state) is Status.NEEDS_REAUTH:
        return _next_when_refused(state, now, tenant_probe=tenant_probe)
    if state.course is Course.UNSURE:
        return _after_offsets(UNSURE_LOGINS, state.unsure_since, state.last_failure, state.unsure)
    return _next_while_broken(state, now)


def _unsure_long_enough(state: LegState) -> bool:
    """H6: logins at 0, 15, 60 and 120 minutes, and still nobody can read the refusal."""
    if state.course is not Course.UNSURE or state.stage not in _AT_LOGIN:
        return False
    return state.unsure >= len(UNSURE_LOGINS) and _lasted(state.unsure_since, state.last_failure) >= UNSURE_LOGINS[-1]


def _confirmed(state: LegState) -> bool:
    """H5 and H16: lasted ten minutes, over three checks, or two for a settings fault."""
    if state.course is Course.UNSURE and state.stage in _AT_LOGIN:
        return False
    checks = SETTINGS_CHECKS if state.course is Course.SETTINGS else CONFIRM_CHECKS
    return state.failures >= checks and _lasted(state.open_since, state.last_failure) >= CONFIRM_AFTER


def _lasted(since: datetime | None, until: datetime | None) -> timedelta:
    return until - since if since and until else timedelta(0)


def _worst(legs: Mapping[Leg, LegState]) -> Leg | None:
    return max(legs, key=lambda leg: _ORDER.index(leg_status(legs[leg])), default=None)


def _cause(leg: Leg, state: LegState) -> Cause:
    if state.category is None:
        return Cause()
    return Cause(state.category.value, state.actor, leg.value, state.stage, state.rule, state.text)


def _pause_reason(status: Status, state: LegState, now: datetime, family: str, policy: Policy) -> PauseReason:
    if status is Status.NEEDS_REAUTH:
        return _refusal_reason(state, family)
    may_ask = status is Status.ERROR and state.course is Course.PASSING and state.category not in _NO_DISCONNECT
    return PauseReason.MAILBOX_DISCONNECTED if may_ask and _long_enough(state, now, policy) else PauseReason.NONE


def _long_enough(state: LegState, now: datetime, policy: Policy) -> bool:
    return _lasted(state.open_since, now) >= policy.disconnected_after


def _refusal_reason(state: LegState, family: str) -> PauseReason:
    if state.course is Course.UNSURE:
        return PauseReason.AUTH_ERRORS
    assert state.category is not None
    if family == "hostinger" and state.category is Category.AUTH_FAILED:
        return PauseReason.HOSTINGER_REAUTH_REQUIRED
    return _PAUSE.get(state.category, PauseReason.AUTH_FAILURE)


def _next_while_whole(legs: Mapping[Leg, LegState], now: datetime, mailbox_id: int) -> datetime:
    """An hour after the leg that was seen longest ago: sends and reads count for their own leg (H10)."""
    oldest = min(state.last_ok or now for state in legs.values())
    return max(now, oldest + _spread(CONNECTED_EVERY, mailbox_id, oldest))


def _next_when_refused(state: LegState, now: datetime, *, tenant_probe: bool) -> datetime | None:
    if tenant_probe and state.category is Category.TENANT_SMTP_DISABLED:
        eager = _lasted(state.open_since, now) < TENANT_PROBE_EAGER_FOR
        return now + (TENANT_PROBE_EVERY if eager else TENANT_PROBE_LATER)
    # A refused password is not tried again by us: repeated refusals lock accounts (H4).
    return now + CURED_ELSEWHERE_EVERY if state.cured_elsewhere else None


def _next_while_broken(state: LegState, now: datetime) -> datetime:
    lasted = _lasted(state.open_since, now)
    if lasted >= BROKEN_LONG:
        return now + BROKEN_LONG_EVERY
    assert state.open_since is not None
    upcoming = (state.open_since + offset for offset in CHECK_AGAIN)
    return next((at for at in upcoming if at > now), now + BROKEN_EVERY)


def _after_offsets(
    offsets: tuple[timedelta, ...], since: datetime | None, last: datetime | None, done: int
) -> datetime:
    assert since is not None and last is not None
    if done < len(offsets):
        return max(since + offsets[done], last)
    return last + BROKEN_EVERY


def _spread(period: timedelta, mailbox_id: int, now: datetime) -> timedelta:
    """`period` ±20 %, another for each mailbox and round, the same for the same arguments."""
    draw = zlib.crc32(f"{mailbox_id}:{now.timestamp():.0f}".encode()) / 0xFFFFFFFF
    return period * (1 + CONNECTED_SPREAD * (2 * draw - 1))
