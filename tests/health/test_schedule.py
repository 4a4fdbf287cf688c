"""When a mailbox is tried next, and which of its legs (SPEC H4 to H6, H9, H10, X3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mailboxes.diagnosis.categories import Category
from mailboxes.health.failure_class import FailureClass, Hold
from mailboxes.health.policy import LegState, passed
from mailboxes.health.schedule import Round, legs_to_try, next_check
from mailboxes.wire.values import Leg
from tests.health.test_policy import CONNECT, WELL, after, at
from tests.make import START

BOTH = frozenset({Leg.SMTP, Leg.IMAP})


def due(state: LegState, minutes: float, **values: Any) -> float | None:
    """Minutes from START to the next check of a mailbox with this one leg."""
    found = next_check({Leg.SMTP: state}, Round(START + at(minutes), 1, **values))
    return None if found is None else (found - START) / timedelta(minutes=1)


def tried(legs: dict[Leg, LegState], minutes: float, **values: Any) -> frozenset[Leg]:
    return legs_to_try(legs, Round(START + at(minutes), 1, **values))


def test_h5_one_passing_failure_is_looked_at_again_within_a_minute() -> None:
    assert due(after(0, category=Category.TIMEOUT, step=CONNECT), 0) == 0.75


@pytest.mark.parametrize(
    ("done", "expected"),
    [((0, 1), 2), ((0, 1, 2), 5), ((0, 1, 2, 5), 10), ((0, 1, 2, 5, 10), 15), ((0, 1, 2, 5, 10, 15), 30)],
)
def test_h5_checks_come_after_1_2_5_10_15_minutes_then_every_15(done: tuple[float, ...], expected: float) -> None:
    assert due(after(*done, category=Category.TIMEOUT, step=CONNECT), done[-1]) == expected


def test_h5_after_a_day_checks_come_hourly() -> None:
    assert due(after(0, 1, 10, 1440, category=Category.TIMEOUT, step=CONNECT), 1440) == 1500


@pytest.mark.parametrize(("done", "expected"), [((0,), 15), ((0, 15), 60), ((0, 15, 60), 120)])
def test_h6_logins_are_spaced_while_unsure(done: tuple[float, ...], expected: float) -> None:
    assert due(after(*done, category=Category.UNKNOWN), done[-1]) == expected


def test_h4_a_bare_refusal_is_tried_again_after_a_minute_and_after_ten() -> None:
    assert due(after(0, category=Category.AUTH_FAILED), 0) == 1.25
    assert due(after(0, 1.25, category=Category.AUTH_FAILED), 1.25) == 10.25


@pytest.mark.parametrize("category", [Category.OAUTH_REVOKED, Category.APP_PASSWORD_REQUIRED])
def test_h4_a_named_refusal_is_tried_once_more_within_two_minutes(category: Category) -> None:
    found = due(after(0, category=category), 0)
    assert found is not None and 1 <= found <= 2


def test_h4_a_flagged_secret_is_tried_after_an_hour_four_and_daily_for_two_weeks() -> None:
    state, moments = after(0, 1.25, 10.25, category=Category.AUTH_FAILED), []
    now = 10.25
    while (upcoming := due(state, now)) is not None:
        moments.append(upcoming - 10.25)
        now = upcoming
        state = after(now, category=Category.AUTH_FAILED, state=state)
    assert moments[:3] == [60, 240, 240 + 1440]
    assert 13 * 1440 < moments[-1] <= 14 * 1440
    assert len(moments) == 15


def test_h4_where_attempts_are_the_reason_the_secret_is_never_tried_again() -> None:
    state = replace(after(0, 1.25, 10.25, category=Category.AUTH_FAILED), no_retry=True)
    assert due(state, 11) is None


@pytest.mark.parametrize("category", [Category.IMAP_DISABLED, Category.PROVIDER_BLOCK, Category.TENANT_SMTP_DISABLED])
def test_h10_a_cause_cured_elsewhere_is_tried_once_a_day(category: Category) -> None:
    assert due(after(0, 1.25, category=category), 2) == 2 + 1440


def test_h10_the_probe_of_a_tenant_begins_every_45_seconds_for_a_day_then_every_10_minutes() -> None:
    state = after(0, 1.25, category=Category.TENANT_SMTP_DISABLED)
    begun = START + at(2)
    slow = at(2) + timedelta(seconds=20)  # the server took 20 s: the next one begins 45 s after the last all the same
    found = next_check({Leg.SMTP: state}, Round(START + slow, 1, tenant_probe=True, begun_at=begun))
    assert found == begun + timedelta(seconds=40)  # the worker looks every five
    later = START + timedelta(hours=25)
    found = next_check({Leg.SMTP: state}, Round(later, 1, tenant_probe=True, begun_at=later))
    assert found is not None and found - later == at(10) - timedelta(seconds=5)


def test_h10_a_connected_mailbox_is_checked_hourly_with_a_spread_of_a_fifth() -> None:
    state = passed(LegState(), START)
    gaps = [(next_check({Leg.SMTP: state}, Round(START, number)) or START) - START for number in range(500)]
    assert timedelta(minutes=48) <= min(gaps) < timedelta(minutes=50)
    assert timedelta(minutes=70) < max(gaps) <= timedelta(minutes=72)


def test_h10_a_send_postpones_its_own_leg_only() -> None:
    legs = {Leg.SMTP: passed(LegState(), START + at(55)), Leg.IMAP: passed(LegState(), START)}
    found = next_check(legs, Round(START + at(55), 7))
    assert found is not None and found <= START + at(72)
    assert legs_to_try(legs, Round(START + at(72), 7)) == {Leg.IMAP}


def test_h4_while_a_secret_is_refused_one_leg_is_tried_and_the_other_waits() -> None:
    refused = after(0, 1.25, category=Category.AUTH_FAILED)
    legs = {Leg.SMTP: refused, Leg.IMAP: after(0, category=Category.AUTH_FAILED)}
    assert tried(legs, 10.5) in ({Leg.SMTP}, {Leg.IMAP})
    assert next_check(legs, Round(START + at(1.25), 1)) == START + at(10.25)


def test_x3_a_first_refusal_of_one_leg_asks_the_other_whether_the_secret_is_wrong() -> None:
    legs = {Leg.SMTP: WELL, Leg.IMAP: after(0, category=Category.AUTH_FAILED)}
    assert tried(legs, 1.3) == BOTH
    assert tried(legs, 1.3, one_login=False) == {Leg.IMAP}


def test_x3_what_the_other_leg_accepted_meanwhile_is_tried_at_once() -> None:
    flagged = after(0, 1.25, 10.25, category=Category.AUTH_FAILED)
    legs = {Leg.SMTP: passed(WELL, START + at(70)), Leg.IMAP: flagged}
    assert next_check(legs, Round(START + at(70), 1)) == START + at(70)


def test_h10_a_switch_of_one_leg_leaves_the_other_its_rounds() -> None:
    off = after(0, 1.25, category=Category.TENANT_SMTP_DISABLED)
    legs = {Leg.SMTP: off, Leg.IMAP: passed(LegState(), START)}
    found = next_check(legs, Round(START + at(2), 1))
    assert found is not None and START + at(48) <= found <= START + at(72)


def test_h9_a_held_login_is_tried_rarely_and_one_leg_at_a_time() -> None:
    state = after(0, category=Category.AUTH_FAILED)
    legs = {Leg.SMTP: state, Leg.IMAP: after(1, category=Category.AUTH_FAILED)}
    holds = [Hold(leg, FailureClass.LOGIN, START - at(15), at(30)) for leg in (Leg.SMTP, Leg.IMAP)]
    found = next_check(legs, Round(START + at(1), 1, holds=holds))
    assert found is not None and START + at(16) <= found <= START + at(46)
    assert tried(legs, 60, holds=holds) == {Leg.SMTP}  # the one that was tried longest ago


def test_d1_no_login_before_the_provider_wants_one() -> None:
    until = START + at(30)
    assert due(WELL, 0, throttled_until=until) == 30


def test_a_grant_that_works_has_no_rounds_of_its_own() -> None:
    legs = {Leg.OAUTH: passed(LegState(), START - timedelta(hours=9)), Leg.SMTP: passed(LegState(), START)}
    found = next_check(legs, Round(START, 1))
    assert found is not None and found >= START + at(48)


@pytest.mark.parametrize("category", [Category.UNKNOWN, Category.PROVIDER_BLOCK])
def test_x3_what_the_other_leg_accepts_in_the_same_check_hurries_nothing(category: Category) -> None:
    legs = {Leg.SMTP: after(0, category=category), Leg.IMAP: passed(WELL, START + at(0.1))}
    found = next_check(legs, Round(START + at(0.2), 1))
    assert found is not None and found >= START + at(1)
