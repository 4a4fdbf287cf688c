"""The policy as a table of examples (SPEC H3 to H6, H10, H16; D1)."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from mailboxes.diagnosis.categories import MATRIX, Category, Course
from mailboxes.diagnosis.values import Diagnosis
from mailboxes.health.legs import pack, unpack
from mailboxes.health.policy import LegState, failed, is_stale, leg_status, next_check, passed, standing
from mailboxes.states import PauseReason, Status, needs_reconnect
from mailboxes.wire.values import Leg, Stage, Step
from tests.make import START

AUTH = Step(Stage.AUTH, False, 1, "535", "no")
CONNECT = Step(Stage.CONNECT, False, 1, "ETIMEDOUT", "no")


def diagnosis(category: Category) -> Diagnosis:
    traits = MATRIX[category]
    return Diagnosis(
        category, "test-rule", traits.actor, traits.needs_reconnect, traits.transient, traits.course,
        traits.cured_elsewhere,
    )  # fmt: skip


def after(*minutes: float, category: Category, step: Step = AUTH, state: LegState | None = None) -> LegState:
    """A leg that failed with this category at these minutes."""
    state = state or LegState()
    for minute in minutes:
        state = failed(state, diagnosis(category), step, START + timedelta(minutes=minute))
    return state


def at(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


REFUSALS = [category for category, traits in MATRIX.items() if traits.course is Course.REFUSAL]
PASSING = [category for category, traits in MATRIX.items() if traits.course is Course.PASSING]
SETTINGS = [category for category, traits in MATRIX.items() if traits.course is Course.SETTINGS]
WITHOUT_EFFECT = [
    category for category, traits in MATRIX.items() if traits.course in (Course.RESTING, Course.IGNORED, Course.OURS)
]


@pytest.mark.parametrize("category", REFUSALS)
def test_h4_a_clear_refusal_flags_at_once(category: Category) -> None:
    assert leg_status(after(0, category=category)) is Status.NEEDS_REAUTH


@pytest.mark.parametrize("category", PASSING)
def test_h5_a_passing_fault_is_suspect_at_once_and_error_after_ten_minutes_over_three_checks(
    category: Category,
) -> None:
    assert leg_status(after(0, category=category, step=CONNECT)) is Status.SUSPECT
    assert leg_status(after(0, 12, category=category, step=CONNECT)) is Status.SUSPECT
    assert leg_status(after(0, 1, 2, 9, category=category, step=CONNECT)) is Status.SUSPECT
    assert leg_status(after(0, 1, 10, category=category, step=CONNECT)) is Status.ERROR


@pytest.mark.parametrize("category", PASSING)
def test_h5_a_passing_fault_asks_for_a_reconnect_only_after_a_day(category: Category) -> None:
    legs = {Leg.SMTP: after(0, 1, 10, category=category, step=CONNECT)}
    early, late = START + timedelta(hours=23, minutes=59), START + timedelta(hours=24)
    assert standing(legs, early).pause_reason is PauseReason.NONE
    assert standing(legs, late).pause_reason is PauseReason.MAILBOX_DISCONNECTED


@pytest.mark.parametrize("category", SETTINGS)
def test_h16_a_settings_fault_is_confirmed_ten_minutes_later_and_never_disconnected(category: Category) -> None:
    assert leg_status(after(0, category=category)) is Status.SUSPECT
    assert leg_status(after(0, 5, category=category)) is Status.SUSPECT
    found = standing({Leg.SMTP: after(0, 10, category=category)}, START + timedelta(days=30))
    assert (found.status, found.settings_fault, found.pause_reason) == (Status.ERROR, True, PauseReason.NONE)


def test_d1_a_failing_resolver_never_asks_for_a_reconnect() -> None:
    traits = MATRIX[Category.DNS_FAILURE]
    passing = Diagnosis(Category.DNS_FAILURE, "r", traits.actor, False, True, Course.PASSING)
    state = LegState()
    for minute in (0, 1, 10):
        state = failed(state, passing, CONNECT, START + at(minute))
    found = standing({Leg.SMTP: state}, START + timedelta(days=3))
    assert (found.status, found.pause_reason) == (Status.ERROR, PauseReason.NONE)


@pytest.mark.parametrize("category", WITHOUT_EFFECT)
def test_d1_limits_recipients_content_and_our_own_faults_change_no_status(category: Category) -> None:
    good = passed(LegState(), START)
    assert after(1, 2, 3, 600, category=category, state=good) == good


def test_h6_an_unreadable_refusal_flags_after_logins_at_0_15_60_and_120_minutes() -> None:
    assert leg_status(after(0, category=Category.UNKNOWN)) is Status.SUSPECT
    assert leg_status(after(0, 15, 60, category=Category.UNKNOWN)) is Status.SUSPECT
    assert leg_status(after(0, 1, 2, 3, category=Category.UNKNOWN)) is Status.SUSPECT
    found = standing({Leg.SMTP: after(0, 15, 60, 120, category=Category.UNKNOWN)}, START + at(120))
    assert (found.status, found.pause_reason) == (Status.NEEDS_REAUTH, PauseReason.AUTH_ERRORS)


def test_h6_an_unreadable_fault_before_the_login_flags_nobody() -> None:
    legs = {Leg.SMTP: after(0, 15, 60, 120, 600, category=Category.UNKNOWN, step=CONNECT)}
    found = standing(legs, START + timedelta(days=9))
    assert (found.status, found.pause_reason) == (Status.ERROR, PauseReason.NONE)


@pytest.mark.parametrize("category", PASSING + SETTINGS + [Category.UNKNOWN])
def test_h10_a_weaker_cause_does_not_cover_a_refusal(category: Category) -> None:
    refused = after(0, category=Category.AUTH_FAILED)
    later = after(5, category=category, step=CONNECT, state=refused)
    assert (leg_status(later), later.category) == (Status.NEEDS_REAUTH, Category.AUTH_FAILED)


def test_h10_what_was_flagged_as_unsure_stays_until_it_passes() -> None:
    unsure = after(0, 15, 60, 120, category=Category.UNKNOWN)
    assert leg_status(after(130, category=Category.TIMEOUT, step=CONNECT, state=unsure)) is Status.NEEDS_REAUTH
    assert leg_status(passed(unsure, START + at(140))) is Status.CONNECTED


@pytest.mark.parametrize(
    ("category", "family", "reason"),
    [
        (Category.AUTH_FAILED, "", PauseReason.AUTH_FAILURE),
        (Category.AUTH_FAILED, "hostinger", PauseReason.HOSTINGER_REAUTH_REQUIRED),
        (Category.OAUTH_REVOKED, "google", PauseReason.AUTH_FAILURE),
        (Category.TENANT_SMTP_DISABLED, "microsoft", PauseReason.TENANT_SMTP_DISABLED),
        (Category.PROVIDER_BLOCK, "google", PauseReason.PROVIDER_BLOCK),
        (Category.IMAP_DISABLED, "zoho", PauseReason.AUTH_FAILURE),
    ],
)
def test_d1_each_refusal_has_its_pause_reason(category: Category, family: str, reason: PauseReason) -> None:
    assert standing({Leg.SMTP: after(0, category=category)}, START, provider_family=family).pause_reason is reason


def test_the_status_is_that_of_the_worst_wanted_leg() -> None:
    good = passed(LegState(), START)
    slow = after(0, category=Category.TIMEOUT, step=CONNECT)
    refused = after(0, category=Category.AUTH_FAILED)
    assert standing({Leg.SMTP: good, Leg.IMAP: slow}, START).status is Status.SUSPECT
    assert standing({Leg.SMTP: slow, Leg.IMAP: refused}, START).cause.leg == "imap"
    assert standing({Leg.SMTP: good, Leg.IMAP: LegState()}, START).status is Status.UNVERIFIED
    assert standing({Leg.SMTP: good}, START).status is Status.CONNECTED


@pytest.mark.parametrize(
    ("done", "expected"),
    [((0,), 1), ((0, 1), 2), ((0, 1, 2), 5), ((0, 1, 2, 5), 10), ((0, 1, 2, 5, 10), 15), ((0, 1, 2, 5, 10, 15), 30)],
)
def test_h5_checks_come_after_1_2_5_10_15_minutes_then_every_15(done: tuple[float, ...], expected: float) -> None:
    legs = {Leg.SMTP: after(*done, category=Category.TIMEOUT, step=CONNECT)}
    assert next_check(legs, START + at(done[-1]), mailbox_id=1) == START + at(expected)


def test_h5_after_a_day_checks_come_hourly() -> None:
    legs = {Leg.SMTP: after(0, 1, 10, 1440, category=Category.TIMEOUT, step=CONNECT)}
    now = START + timedelta(days=1)
    assert next_check(legs, now, mailbox_id=1) == now + timedelta(hours=1)


@pytest.mark.parametrize(("done", "expected"), [((0,), 15), ((0, 15), 60), ((0, 15, 60), 120)])
def test_h6_logins_are_spaced_while_unsure(done: tuple[float, ...], expected: float) -> None:
    legs = {Leg.SMTP: after(*done, category=Category.UNKNOWN)}
    assert next_check(legs, START + at(done[-1]), mailbox_id=1) == START + at(expected)


@pytest.mark.parametrize("category", [Category.AUTH_FAILED, Category.OAUTH_REVOKED, Category.APP_PASSWORD_REQUIRED])
def test_h4_a_refused_secret_is_not_tried_again_by_us(category: Category) -> None:
    assert next_check({Leg.SMTP: after(0, category=category)}, START, mailbox_id=1) is None


@pytest.mark.parametrize("category", [Category.IMAP_DISABLED, Category.PROVIDER_BLOCK, Category.TENANT_SMTP_DISABLED])
def test_h10_a_cause_cured_elsewhere_is_tried_once_a_day(category: Category) -> None:
    legs = {Leg.SMTP: after(0, category=category)}
    assert next_check(legs, START, mailbox_id=1) == START + timedelta(days=1)


def test_h10_the_probe_of_a_tenant_looks_every_45_seconds_for_a_day_then_every_10_minutes() -> None:
    legs = {Leg.SMTP: after(0, category=Category.TENANT_SMTP_DISABLED)}
    assert next_check(legs, START, mailbox_id=1, tenant_probe=True) == START + timedelta(seconds=45)
    later = START + timedelta(hours=24)
    assert next_check(legs, later, mailbox_id=1, tenant_probe=True) == later + timedelta(minutes=10)


def test_h10_a_connected_mailbox_is_checked_hourly_with_a_spread_of_a_fifth() -> None:
    legs = {Leg.SMTP: passed(LegState(), START)}
    gaps = [(next_check(legs, START, mailbox_id=number) or START) - START for number in range(500)]
    assert timedelta(minutes=48) <= min(gaps) < timedelta(minutes=50)
    assert timedelta(minutes=70) < max(gaps) <= timedelta(minutes=72)


def test_h10_a_send_postpones_its_own_leg_only() -> None:
    legs = {Leg.SMTP: passed(LegState(), START + timedelta(minutes=55)), Leg.IMAP: passed(LegState(), START)}
    due = next_check(legs, START + timedelta(minutes=55), mailbox_id=7)
    assert due is not None and due <= START + timedelta(minutes=72)


def test_h7_an_attempt_begun_before_the_last_success_is_stale() -> None:
    good = passed(LegState(), START)
    assert is_stale(good, START - timedelta(seconds=1))
    assert not is_stale(good, START + timedelta(seconds=1))


@pytest.mark.parametrize(("status", "is_open", "reason"), list(product(Status, (True, False), PauseReason)))
def test_h3_the_rule_in_words(status: Status, is_open: bool, reason: PauseReason) -> None:
    expected = status == "needs_reauth" or (status == "error" and is_open) or reason != ""
    assert needs_reconnect(status, auth_failure_open=is_open, pause_reason=reason) is expected


@pytest.mark.parametrize(
    "state",
    [
        LegState(),
        passed(LegState(), START),
        after(0, 1, category=Category.UNKNOWN),
        after(0, category=Category.PROVIDER_BLOCK),
    ],
)
def test_a_legs_memory_survives_its_column(state: LegState) -> None:
    assert unpack(pack(state)) == state
