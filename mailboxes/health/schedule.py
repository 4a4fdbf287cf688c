"""When a mailbox is tried next, and which of its legs (SPEC H4 to H6, H9, H10). Pure: values in, values out."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailboxes.diagnosis.categories import Category, Course
from mailboxes.health.failure_class import Hold, class_of
from mailboxes.health.policy import ABOUT_ONE_LEG, MAIL_LEGS, LegState, is_held, is_named
from mailboxes.health.thresholds import DEFAULT, Thresholds
from mailboxes.wire.values import Leg

# The worker looks every five seconds, and a probe's own time counts too: begun 45 s after the last one began.
PROBE_MARGIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Round:
    """What a due time depends on beside the legs. `begun_at` is when the last attempt began; `stumbled`: it met a
    failure that moves no status, and must not make the mailbox due at once. `capped`: its flag waits (H9)."""

    now: datetime
    mailbox_id: int
    one_login: bool = True
    tenant_probe: bool = False
    begun_at: datetime | None = None
    throttled_until: datetime | None = None
    stumbled: bool = False
    capped: bool = False
    holds: Sequence[Hold] = ()
    numbers: Thresholds = DEFAULT


def next_check(legs: Mapping[Leg, LegState], at: Round) -> datetime | None:
    """Return when the mailbox is due again, or None: only when asked or when its credential changes.

    A refused secret keeps every leg waiting that would use it: the next login is the one that its refusal allows.
    """
    if at.throttled_until is not None and at.throttled_until > at.now:
        return at.throttled_until
    if at.capped:  # decided anew without a login, where there is room
        return None if _forbids_retries(legs) else at.now + at.numbers.retry_flagged_after[0]
    dues = [due for due in _dues(legs, at).values() if due is not None]
    if not dues:
        return None
    earliest = at.now + _after_a_stumble(at) if at.stumbled and _all_whole(legs) else at.now
    return max(earliest, min(dues))


def _forbids_retries(legs: Mapping[Leg, LegState]) -> bool:
    return any(state.no_retry for state in legs.values())


def _after_a_stumble(at: Round) -> timedelta:
    ours = any(hold.ours for hold in at.holds)
    return at.numbers.held_ours_every if ours else at.numbers.connected_every


def _all_whole(legs: Mapping[Leg, LegState]) -> bool:
    return all(state.course is None and state.last_ok is not None for state in legs.values())


def legs_to_try(legs: Mapping[Leg, LegState], at: Round) -> frozenset[Leg]:
    """Return the mail legs that a due check logs in to. While a secret is refused, one leg at a time (H4): the other
    one too only where it can tell whether the secret is wrong (X3), and has not been asked since."""
    wanted = frozenset(leg for leg in MAIL_LEGS if leg in legs)
    dues = {leg: due for leg, due in _dues(legs, at).items() if due is not None}
    if Leg.OAUTH in dues and legs[Leg.OAUTH].course is not None:
        return wanted  # a new access token is tried wherever it is used
    soon = at.now + at.numbers.together_within
    due = sorted((when, leg) for leg, when in dues.items() if leg in wanted and when <= soon)
    if not due:
        return wanted
    troubled = [leg for _when, leg in due if _in_trouble(legs[leg])]
    if not troubled:
        ready = frozenset(leg for when, leg in due if when <= max(at.now, due[0][0]) or legs[leg].course is None)
        return ready or wanted
    held = [leg for leg in troubled if is_held(legs[leg], leg, at.holds)]
    if held:  # one login each, and each leg in turn: an incident is one leg's
        return frozenset({min(held, key=lambda leg: (legs[leg].last_failure or at.now, leg))})
    first = troubled[0]
    return wanted if _asks_the_other(legs, first, at) else frozenset({first})


def _asks_the_other(legs: Mapping[Leg, LegState], leg: Leg, at: Round) -> bool:
    """X3: where both legs use one secret, the other one says whether it is wrong; once is enough."""
    if legs[leg].is_unsure_at_login:
        return at.one_login
    other = _other(leg, legs, at)
    is_open = legs[leg].flagged_at is None and not is_named(legs[leg])
    return is_open and other is not None and not other.is_refused


def _dues(legs: Mapping[Leg, LegState], at: Round) -> dict[Leg, datetime | None]:
    """Each leg's own due time. Where a secret is in doubt, only the legs that doubt it have one."""
    doubted = [leg for leg, state in legs.items() if _in_trouble(state) and state.category not in ABOUT_ONE_LEG]
    # A grant that works is refreshed on the way to a mail leg, and has no rounds of its own.
    usual = [leg for leg, state in legs.items() if leg in MAIL_LEGS or state.course is not None]
    return {leg: _due(leg, legs, at) for leg in doubted or usual}


def _in_trouble(state: LegState) -> bool:
    return state.is_refused or state.is_unsure_at_login or state.flagged_at is not None


def _due(leg: Leg, legs: Mapping[Leg, LegState], at: Round) -> datetime | None:
    state = legs[leg]
    if state.course is None:
        return _while_whole(state, at)
    hold = _hold(leg, state, at)
    other = _other(leg, legs, at)
    if hold is not None and hold.recheck_every is not None:
        return _last_login(state, other, at) + _spread(hold.recheck_every, at, share=0.5)
    bare = state.is_refused and not is_named(state)
    if bare and other is not None and _has_passed_since(other, state):
        return at.now  # the secret was accepted elsewhere meanwhile
    if state.flagged_at is not None:
        return _while_flagged(state, state.flagged_at, at)
    if state.is_refused:
        others = other.refused if other is not None and other.category not in ABOUT_ONE_LEG else 0
        return _until_certain(state, state.refused + others, at)
    if state.is_unsure_at_login or state.course is Course.UNSURE:
        return _while_unsure(state, at)
    return _while_broken(state, at)


def _hold(leg: Leg, state: LegState, at: Round) -> Hold | None:
    if not is_held(state, leg, at.holds):
        return None
    alike = class_of(state.category, state.stage)
    return next(hold for hold in at.holds if hold.leg is leg and hold.failure_class is alike)


def _last_login(state: LegState, other: LegState | None, at: Round) -> datetime:
    last = [one.last_failure for one in (state, other) if one is not None and one.last_failure is not None]
    return max(last, default=at.now)


def _while_whole(state: LegState, at: Round) -> datetime:
    """An hour after the leg was last seen to work: sends and reads count for their own leg (H10)."""
    if state.last_ok is None:
        return at.now + at.numbers.broken_every
    numbers = at.numbers
    return state.last_ok + _spread(numbers.connected_every, at, share=numbers.connected_spread, since=state.last_ok)


def _until_certain(state: LegState, logins: int, at: Round) -> datetime:
    """H4: a named refusal once more after a minute; a bare one, refused in so many logins, after one and after ten."""
    numbers = at.numbers
    if state.refused == 0 or state.refused_since is None or state.refused_last is None:
        return at.now  # an incident explained it until now: begin at once
    soon = state.refused_last + numbers.confirm_named_after
    if is_named(state) or logins < numbers.bare_logins - 1:
        return soon
    return max(soon, state.refused_since + numbers.confirm_bare_after)


def _other(leg: Leg, legs: Mapping[Leg, LegState], at: Round) -> LegState | None:
    """The other mail leg, where it logs in with the same secret."""
    if not at.one_login or leg not in MAIL_LEGS:
        return None
    return legs.get(Leg.IMAP if leg is Leg.SMTP else Leg.SMTP)


def _has_passed_since(other: LegState, state: LegState) -> bool:
    return other.last_ok is not None and state.last_failure is not None and other.last_ok > state.last_failure


def _while_flagged(state: LegState, flagged_at: datetime, at: Round) -> datetime | None:
    numbers = at.numbers
    if state.no_retry:
        return None
    if state.category is Category.TENANT_SMTP_DISABLED and at.tenant_probe:
        eager = at.now - flagged_at < numbers.tenant_probe_eager_for
        every = numbers.tenant_probe_every if eager else numbers.tenant_probe_later
        return max(at.now, (at.begun_at or at.now) + every - PROBE_MARGIN)
    if state.cured_elsewhere:
        return at.now + numbers.cured_elsewhere_every
    upcoming = (flagged_at + offset for offset in numbers.retry_flagged_after)
    due = next((moment for moment in upcoming if moment > at.now), at.now + numbers.retry_flagged_every)
    return due if due - flagged_at <= numbers.retry_flagged_for else None


def _while_unsure(state: LegState, at: Round) -> datetime:
    assert state.unsure_since is not None and state.last_failure is not None
    if state.unsure < len(at.numbers.unsure_logins):
        return max(state.unsure_since + at.numbers.unsure_logins[state.unsure], state.last_failure)
    return state.last_failure + at.numbers.broken_every


def _while_broken(state: LegState, at: Round) -> datetime:
    numbers = at.numbers
    assert state.open_since is not None and state.last_failure is not None
    if state.course is Course.PASSING and state.failures < numbers.suspect_failures:
        return state.last_failure + numbers.look_again_after
    if at.now - state.open_since >= numbers.broken_long:
        return at.now + numbers.broken_long_every
    upcoming = (state.open_since + offset for offset in numbers.check_again_after)
    return next((moment for moment in upcoming if moment > at.now), at.now + numbers.broken_every)


def _spread(period: timedelta, at: Round, *, share: float, since: datetime | None = None) -> timedelta:
    """`period` give or take `share`, another for each mailbox and round, the same for the same arguments."""
    return period * (1 + share * (2 * _draw(at.mailbox_id, since or at.now) / 0xFFFFFFFF - 1))


def _draw(mailbox_id: int, at: datetime) -> int:
    """A number that looks drawn, below 2 ** 32: another for each mailbox and second, always the same for one."""
    return zlib.crc32(f"{mailbox_id}:{at.timestamp():.0f}".encode())
