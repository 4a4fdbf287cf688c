"""The policy as a table of examples (SPEC H3 to H6, H10, H16; D1)."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from mailboxes.diagnosis.categories import MATRIX, Category, Course
from mailboxes.diagnosis.values import Diagnosis
from mailboxes.health import limits
from mailboxes.health.failure_class import FailureClass, Hold
from mailboxes.health.legs import pack, unpack
from mailboxes.health.policy import LegState, failed, flagged, is_stale, leg_status, passed, standing
from mailboxes.health.thresholds import DEFAULT
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


WELL = passed(LegState(), START - timedelta(hours=1))


def after(*minutes: float, category: Category, step: Step = AUTH, state: LegState = WELL) -> LegState:
    """A leg that had worked, and failed with this category at these minutes."""
    for minute in minutes:
        now = START + timedelta(minutes=minute)
        state = failed(state, diagnosis(category), step, now)
        state = flagged({Leg.SMTP: state}, now, one_login=True)[Leg.SMTP]
    return state


def at(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


REFUSALS = [category for category, traits in MATRIX.items() if traits.course is Course.REFUSAL]
PASSING = [category for category, traits in MATRIX.items() if traits.course is Course.PASSING]
SETTINGS = [category for category, traits in MATRIX.items() if traits.course is Course.SETTINGS]
WITHOUT_EFFECT = [
    category for category, traits in MATRIX.items() if traits.course in (Course.RESTING, Course.IGNORED, Course.OURS)
]


NAMED = [category for category in REFUSALS if category is not Category.AUTH_FAILED]


@pytest.mark.parametrize("category", REFUSALS)
def test_h4_a_secret_that_never_worked_is_flagged_at_first_sight(category: Category) -> None:
    assert leg_status(after(0, category=category, state=LegState())) is Status.NEEDS_REAUTH


@pytest.mark.parametrize("category", REFUSALS)
def test_h4_a_refusal_of_what_has_worked_is_out_of_work_at_once_and_not_yet_flagged(category: Category) -> None:
    assert leg_status(after(0, category=category)) is Status.SUSPECT


@pytest.mark.parametrize("category", NAMED)
def test_h4_a_refusal_that_names_its_cause_is_certain_when_it_comes_again_after_a_minute(category: Category) -> None:
    assert leg_status(after(0, 0.9, category=category)) is Status.SUSPECT
    assert leg_status(after(0, 1, category=category)) is Status.NEEDS_REAUTH


def test_h4_a_bare_refusal_is_certain_at_the_third_login_ten_minutes_after_the_first() -> None:
    bare = Category.AUTH_FAILED
    assert leg_status(after(0, 1.25, category=bare)) is Status.SUSPECT
    assert leg_status(after(0, 1, 2, 9.9, category=bare)) is Status.SUSPECT
    assert leg_status(after(0, 12, category=bare)) is Status.SUSPECT
    assert leg_status(after(0, 1.25, 10, category=bare)) is Status.NEEDS_REAUTH


def test_h4_what_was_refused_while_an_incident_explained_it_counts_for_nothing_afterwards() -> None:
    hold = Hold(Leg.SMTP, FailureClass.LOGIN, START - timedelta(minutes=15), None)
    state = WELL
    for minute in (0, 5, 30):
        state = failed(state, diagnosis(Category.AUTH_FAILED), AUTH, START + at(minute), [hold], Leg.SMTP)
        assert flagged({Leg.SMTP: state}, START + at(minute), one_login=True, holds=[hold])[Leg.SMTP] == state
    assert leg_status(state, holds=[hold]) is Status.SUSPECT
    again = after(40, 41.25, category=Category.AUTH_FAILED, state=state)
    assert leg_status(again) is Status.SUSPECT
    assert leg_status(after(50.5, category=Category.AUTH_FAILED, state=again)) is Status.NEEDS_REAUTH


def test_h9_what_was_flagged_before_the_incident_is_not_explained_by_it() -> None:
    flagged_before = after(0, 1.25, 10, category=Category.AUTH_FAILED)
    early = Hold(Leg.SMTP, FailureClass.LOGIN, START + at(20), None)
    assert leg_status(flagged_before, holds=[early]) is Status.NEEDS_REAUTH
    lately = Hold(Leg.SMTP, FailureClass.LOGIN, START + at(5), None)
    assert leg_status(flagged_before, holds=[lately]) is Status.SUSPECT


@pytest.mark.parametrize("other", [(Leg.IMAP, FailureClass.LOGIN), (Leg.SMTP, FailureClass.NETWORK)])
def test_h9_an_incident_explains_its_own_leg_and_class_alone(other: tuple[Leg, FailureClass]) -> None:
    state = after(0, 1.25, 10, category=Category.AUTH_FAILED)
    hold = Hold(*other, START - at(15), None)
    assert leg_status(state, leg=Leg.SMTP, holds=[hold]) is Status.NEEDS_REAUTH


def test_h9_a_secret_that_never_worked_stays_unverified_while_an_incident_explains_it() -> None:
    hold = Hold(Leg.SMTP, FailureClass.LOGIN, START - at(15), None)
    state = failed(LegState(), diagnosis(Category.AUTH_FAILED), AUTH, START, [hold], Leg.SMTP)
    assert flagged({Leg.SMTP: state}, START, one_login=True, holds=[hold])[Leg.SMTP].flagged_at is None
    assert leg_status(state, holds=[hold]) is Status.UNVERIFIED


def test_h9_a_fault_of_our_own_moves_no_mailbox() -> None:
    hold = Hold(Leg.SMTP, FailureClass.NETWORK, START - at(15), None, ours=True)
    state = WELL
    for minute in (0, 1, 5, 12):
        state = failed(state, diagnosis(Category.UNREACHABLE), CONNECT, START + at(minute), [hold], Leg.SMTP)
    assert state == WELL


def test_h9_a_persons_word_makes_open_refusals_certain() -> None:
    state = after(0, category=Category.BASIC_AUTH_DISABLED)
    by_word = flagged({Leg.SMTP: state}, START + at(1), one_login=True, by_word=True)[Leg.SMTP]
    assert leg_status(by_word) is Status.NEEDS_REAUTH


@pytest.mark.parametrize("category", PASSING)
def test_h5_one_passing_failure_changes_nothing_and_the_second_in_a_row_makes_it_suspect(category: Category) -> None:
    assert leg_status(after(0, category=category, step=CONNECT)) is Status.CONNECTED
    assert standing({Leg.SMTP: after(0, category=category, step=CONNECT)}, START).cause.category == ""
    assert leg_status(after(0, 1, category=category, step=CONNECT)) is Status.SUSPECT


@pytest.mark.parametrize("category", PASSING)
def test_h5_a_passing_fault_is_error_after_ten_minutes_over_three_checks(category: Category) -> None:
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
    state = WELL
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
    refused = after(0, 1.25, 10, category=Category.AUTH_FAILED)
    later = after(15, category=category, step=CONNECT, state=refused)
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
    legs = {Leg.SMTP: after(0, category=category, state=LegState())}
    assert standing(legs, START, provider_family=family).pause_reason is reason


def test_the_status_is_that_of_the_worst_wanted_leg() -> None:
    good = passed(LegState(), START)
    slow = after(0, 1, category=Category.TIMEOUT, step=CONNECT)
    refused = after(0, 1.25, 10, category=Category.AUTH_FAILED)
    assert standing({Leg.SMTP: good, Leg.IMAP: slow}, START).status is Status.SUSPECT
    assert standing({Leg.SMTP: slow, Leg.IMAP: refused}, START).cause.leg == "imap"
    assert standing({Leg.SMTP: good, Leg.IMAP: LegState()}, START).status is Status.UNVERIFIED
    assert standing({Leg.SMTP: good}, START).status is Status.CONNECTED


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
        after(0, 1.25, 10, category=Category.AUTH_FAILED),
    ],
)
def test_a_legs_memory_survives_its_column(state: LegState) -> None:
    assert unpack(pack(state)) == state


def test_d1_too_many_logins_changes_no_status_and_is_counted() -> None:
    limited = after(0, 30, category=Category.RATE_LIMITED)
    assert (leg_status(limited), limited.throttled, limited.open_since) == (Status.CONNECTED, 2, None)
    assert passed(limited, START + at(60)).throttled == 0


@pytest.mark.parametrize(
    ("text", "times", "minutes"),
    [
        ("454 4.7.0 Too many login attempts", 0, 30),
        ("454 4.7.0 Too many login attempts", 1, 60),
        ("454 4.7.0 Too many login attempts", 2, 120),
        ("454 4.7.0 Too many login attempts", 3, 240),
        ("454 4.7.0 Too many login attempts", 99, 240),
        ("too many logins, try again in 5 minutes", 4, 5),
    ],
)
def test_d1_logins_rest_as_the_reply_says_else_half_an_hour_doubling_to_four(
    text: str, times: int, minutes: float
) -> None:
    assert limits.throttled_for(text, times, DEFAULT) == at(minutes)


def test_a_refusal_stored_when_it_flagged_at_first_sight_is_still_certain() -> None:
    """A row written before H4 asked for certainty."""
    column = {"course": "refusal", "category": "auth_failed", "last_failure": START.isoformat(), "failures": 1}
    assert leg_status(unpack(column | {"open_since": START.isoformat()})) is Status.NEEDS_REAUTH
