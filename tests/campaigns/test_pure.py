"""Windows, templates and the choice of a mailbox: values in, values out (K1, K2, K5)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from campaigns.assigning import Due, Sender, assign
from campaigns.calendar import Window, check_zone
from campaigns.templating import check_template, names, render

BERLIN = Window("Europe/Berlin", time(8), time(18), on_weekends=False)
NIGHT = Window("Europe/Berlin", time(22), time(6), on_weekends=False)
ALWAYS = Window("UTC", time(0), time(0), on_weekends=True)


@pytest.mark.parametrize(
    ("window", "moment", "is_open"),
    [
        (BERLIN, "2026-11-20 06:59", False),  # 7:59 there
        (BERLIN, "2026-11-20 07:00", True),
        (BERLIN, "2026-11-20 16:59", True),
        (BERLIN, "2026-11-20 17:00", False),
        (BERLIN, "2026-11-21 10:00", False),  # a Saturday
        (BERLIN, "2026-07-03 06:30", True),  # summer time
        (NIGHT, "2026-11-20 21:30", True),  # Friday night
        (NIGHT, "2026-11-21 04:00", True),  # still Friday's window
        (NIGHT, "2026-11-21 21:30", False),  # Saturday's
        (ALWAYS, "2026-11-22 03:00", True),
    ],
)
def test_k5_a_window_is_that_of_the_campaigns_zone(window: Window, moment: str, is_open: bool) -> None:
    assert window.is_open(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is is_open


def test_k5_a_day_begins_at_midnight_there() -> None:
    began = BERLIN.day_began(datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    assert began.astimezone(UTC) == datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def test_k5_a_zone_that_is_none_is_refused_with_an_example() -> None:
    with pytest.raises(ValidationError, match="Europe/Berlin"):
        check_zone("Mars/Base")


def test_k1_a_template_names_fields_with_fallbacks() -> None:
    text = "Hi {{ first_name|there }}, {{company}} and {{ city | here }}."
    assert render(text, {"company": "Elm", "first_name": ""}) == "Hi there, Elm and here."
    assert names(text) == {"company"}


@pytest.mark.parametrize("text", ["{{ a.b }}", "{% load x %}", "{{ 1 }}", "{{ __class__ }}", "{{ unclosed"])
def test_k1_a_template_reaches_nothing_else(text: str) -> None:
    with pytest.raises(ValidationError):
        check_template(text)


def test_k2_new_leads_go_to_the_mailbox_that_has_sent_least_in_turn() -> None:
    senders = [Sender(1, {9: 5}), Sender(2, {9: 0}), Sender(3, {9: 2})]
    dues = [Due(lead, 9, None) for lead in (11, 12, 13, 14)]
    assert assign(senders, dues, {9: 40}) == {11: 2, 12: 3, 13: 1}


def test_k1_a_conversation_goes_on_from_its_home_before_new_ones_begin() -> None:
    senders = [Sender(1, {9: 0}), Sender(2, {9: 0})]
    assert assign(senders, [Due(11, 9, None), Due(12, 9, None), Due(13, 9, 1)], {9: 40}) == {13: 1, 11: 2}


def test_k5_a_mailbox_at_its_daily_limit_sends_nothing() -> None:
    assert assign([Sender(1, {9: 40})], [Due(11, 9, None), Due(12, 9, 1)], {9: 40}) == {}


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sets(st.integers(0, 3), min_size=1)), max_size=8),
    st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 7)), max_size=20),
)
def test_k1_nobody_sends_twice_or_for_a_campaign_of_others(
    given_senders: list[tuple[int, set[int]]], given_dues: list[tuple[int, int | None]]
) -> None:
    senders = [Sender(key, dict.fromkeys(of, sent)) for key, (sent, of) in enumerate(given_senders)]
    dues = [Due(key, campaign, home) for key, (campaign, home) in enumerate(given_dues)]
    limits = dict.fromkeys(range(4), 4)
    chosen = assign(senders, dues, limits)
    assert max(Counter(chosen.values()).values(), default=1) == 1
    for lead, mailbox in chosen.items():
        assert senders[mailbox].sent_today[dues[lead].campaign_id] < 4
        assert dues[lead].home in (None, mailbox)
