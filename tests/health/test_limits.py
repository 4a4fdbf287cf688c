"""Counted use, and how long a limit reply rests a mailbox (SPEC H13)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.health.limits import count, rest_for, used, uses
from mailboxes.health.record import record
from mailboxes.models import Failure, Mailbox, StatusChange
from mailboxes.providers.limits import NO_LIMITS, SendLimits, Window, limits_of
from mailboxes.states import Source
from mailboxes.wire.values import Leg, Stage
from tests.make import DAILY_LIMIT, START, caught_up, evidence, make_mailbox, state_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def sent(*minutes_ago: float, recipients: int = 1) -> dict[str, dict[str, list[int]]]:
    buckets: dict[str, dict[str, list[int]]] = {}
    for minutes in sorted(minutes_ago, reverse=True):
        buckets = count(buckets, recipients, START - timedelta(minutes=minutes))
    return buckets


def test_h13_use_is_counted_per_minute_hour_and_day() -> None:
    buckets = sent(0, 0, 10, 59, 90, 600, 1430, recipients=3)
    assert used(buckets, Window.MINUTE, START) == {"messages": 2, "recipients": 6}
    assert used(buckets, Window.HOUR, START) == {"messages": 4, "recipients": 12}
    assert used(buckets, Window.DAY, START) == {"messages": 7, "recipients": 21}
    assert used(buckets, Window.DAY, START + 2 * DAY) == {"messages": 0, "recipients": 0}


@given(st.lists(st.floats(0, 3000), max_size=200), st.sampled_from(list(Window)))
def test_h13_a_window_never_counts_less_than_was_sent_in_it(minutes_ago: list[float], window: Window) -> None:
    inside = [minutes for minutes in minutes_ago if timedelta(minutes=minutes) < window.length]
    assert used(sent(*minutes_ago), window, START)["messages"] >= len(inside)


@given(st.lists(st.floats(0, 100_000), max_size=300))
def test_h13_the_column_stays_small_whatever_is_sent(minutes_ago: list[float]) -> None:
    assert sum(len(series) for series in sent(*minutes_ago).values()) <= 61 + 25


def test_h13_nearing_a_limit_is_told() -> None:
    limits = SendLimits(messages_hour=10, recipients_day=100)
    hour, day = uses(sent(*range(8), recipients=2), limits, START)
    assert (hour.what, hour.used, hour.limit, hour.near) == ("messages", 8, 10, True)
    assert (day.what, day.used, day.limit, day.near) == ("recipients", 16, 100, False)


@pytest.mark.parametrize(
    ("text", "variant", "provider", "rest"),
    [
        ("550 5.4.5 Daily user sending limit exceeded.", "day", "gmail", DAY),
        ("Domain x has exceeded the max emails per hour (100/100 (100%)) allowed.", "hour", "cpanel_generic", HOUR),
        ("450 Mail send limit exceeded", "", "ionos_com", HOUR),
        ("Limit reached, try again in 20 minutes", "hour", "gmail", timedelta(minutes=20)),
        ("Limit reached, please retry after 3 hours.", "day", "gmail", 3 * HOUR),
        ("limit: try again in 900 hours", "", "gmail", DAY),
        ("554 quota exceeded", "", "", DAY),
        ("554 quota exceeded", "minute", "microsoft365", timedelta(minutes=1)),
        ("554 5.2.0 SubmissionQuotaExceededException", "", "microsoft365", DAY),
    ],
)
def test_h13_a_limit_rests_until_its_window_has_passed(text: str, variant: str, provider: str, rest: timedelta) -> None:
    assert rest_for(text, variant, limits_of(provider), {}, START) == rest


def test_h13_where_the_words_name_no_window_our_count_tells() -> None:
    buckets = sent(*([0.1] * 30))
    assert rest_for("quota exceeded", "", limits_of("microsoft365"), buckets, START) == timedelta(minutes=1)
    assert rest_for("quota exceeded", "", NO_LIMITS, buckets, START) == DAY


def limited(mailbox: Mailbox, text: str, at: datetime) -> Mailbox:
    record([evidence(mailbox, Leg.SMTP, (Stage.DATA, "550 5.4.5", text), at=at)], now=at)
    return Mailbox.objects.get(pk=mailbox.pk)


@pytest.mark.django_db
def test_h13_a_limit_is_no_reconnect_and_ends_by_itself() -> None:
    mailbox = make_mailbox(provider="gmail")
    record([evidence(mailbox, leg) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    changes = StatusChange.objects.count()
    rests = limited(mailbox, DAILY_LIMIT[2], START + HOUR)
    assert (rests.status, rests.needs_reconnect, StatusChange.objects.count()) == ("connected", False, changes)
    assert rests.resting_until == START + HOUR + DAY
    assert rests.resting_reason == DAILY_LIMIT[2]
    assert Failure.objects.get(mailbox=mailbox).category == "sending_limit"
    for at, may in ((START + 2 * HOUR, False), (START + HOUR + DAY, True)):
        caught_up(mailbox, at)
        assert Mailbox.objects.can_send(at).exists() is may
        assert Mailbox.objects.can_warm(at).exists() is may
        assert Mailbox.objects.resting(at).exists() is not may
        assert Mailbox.objects.can_read().exists()


@pytest.mark.django_db
def test_h13_a_shorter_limit_ends_no_longer_rest() -> None:
    mailbox = make_mailbox(provider="gmail")
    limited(mailbox, "550 5.4.5 Daily user sending limit exceeded.", START)
    rests = limited(mailbox, "452 4.5.3 Too many messages per minute, limit exceeded per minute", START + HOUR)
    assert rests.resting_until == START + DAY


@pytest.mark.django_db
def test_h13_of_two_limits_at_once_the_longer_counts() -> None:
    mailbox = make_mailbox(provider="gmail")
    said = ("550 5.4.5 Daily user sending limit exceeded.", "452 4.5.3 Too many messages per minute, limit per minute")
    items = [evidence(mailbox, Leg.SMTP, (Stage.DATA, "550 5.4.5", text)) for text in said]
    record(items, now=START)
    assert Mailbox.objects.get().resting_until == START + DAY


@pytest.mark.django_db
def test_h13_what_is_accepted_is_counted_by_whatever_evidence_tells_it() -> None:
    mailbox = make_mailbox(provider="gmail")
    for minute, source in enumerate((Source.CAMPAIGN_SEND, Source.WARMUP_SEND, Source.ASKED)):
        at = START + timedelta(minutes=minute)
        record([evidence(mailbox, Leg.SMTP, at=at, source=source, recipients=2)], now=at)
    record([evidence(mailbox, Leg.SMTP, at=START + HOUR)], now=START + HOUR)
    use = state_of(mailbox).use
    assert used(use, Window.DAY, START + HOUR) == {"messages": 3, "recipients": 6}
