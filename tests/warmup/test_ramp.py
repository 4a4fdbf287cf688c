"""How much, and when (W1, W3). Values in, values out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.ramp import Ramp, next_slot, pace, quota, slots

DAY = timedelta(days=1)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_w1_a_ramp_climbs_by_the_days_on_which_it_sends_up_to_its_ceiling() -> None:
    ramp = Ramp(start=5, step=2, ceiling=30)
    assert [ramp.level(days) for days in (0, 1, 5, 12, 13, 100)] == [5, 7, 15, 29, 30, 30]


@pytest.mark.parametrize(
    ("gap", "back", "share"),
    [(6.9, 0, 1.0), (7, 0, 0.5), (14, 0, 0.5), (14.1, 0, 0.25), (30, 3.5, 0.625), (10, 3.5, 0.75), (30, 7, 1)],
)  # fmt: skip
def test_w3_a_returning_mailbox_climbs_back_over_seven_days(gap: float, back: float, share: float) -> None:
    assert pace(gap * DAY, back * DAY) == pytest.approx(share)


def test_w3_a_quarter_of_a_little_is_one_message() -> None:
    assert (quota(5, 0.25), quota(40, 0.25), quota(1, 0.25)) == (1, 10, 1)


@given(st.integers(1, 50), st.integers(1, 10_000), st.integers(0, 400))
def test_w1_a_days_messages_are_spread_over_its_hours_in_order(amount: int, member: int, days: int) -> None:
    planned = slots(amount, member, NOON + days * DAY)
    assert len(planned) == amount and planned == sorted(planned)
    assert planned == slots(amount, member, NOON + days * DAY), "the same whenever they are asked for"
    assert all(7 <= slot.hour < 21 and slot.date() == (NOON + days * DAY).date() for slot in planned)
    stretch = timedelta(hours=14) / amount
    begins = NOON.replace(hour=7) + days * DAY
    assert all(begins + stretch * at <= slot <= begins + stretch * (at + 1) for at, slot in enumerate(planned))


def test_e12_what_was_missed_is_not_made_up_for() -> None:
    planned = slots(10, 1, NOON)
    after = next_slot(planned, planned[6])
    assert after == planned[7]
    assert next_slot(planned, planned[9]) is None
