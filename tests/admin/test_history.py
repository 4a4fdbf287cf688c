"""The timeline and the picture of the last 30 days on the mailbox's page (SPEC A4)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailboxes.admin import timeline
from mailboxes.admin.picture import Band, Change, Picture, draw
from mailboxes.health import holds
from mailboxes.health.record import record
from mailboxes.models import Mailbox, Trial
from mailboxes.wire.values import Leg
from tests.admin.test_mailbox_admin import page, text
from tests.make import REFUSED, START, TIMED_OUT, evidence, make_mailbox, refuse

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def drawn(changes: list[tuple[float, str, str]], *, status: str = "connected", age: float = 100) -> Picture:
    """A picture of changes so many days ago."""
    made = [Change(START - timedelta(days=days), before, after) for days, before, after in changes]
    return draw(made, [], status=status, created_at=START - timedelta(days=age), now=START)


def spans(picture: Picture) -> list[tuple[str, float, float]]:
    return [(band.colour, round(band.x / 24, 3), round(band.width / 24, 3)) for band in picture.bands]


def test_a4_a_mailbox_without_a_change_is_one_band() -> None:
    assert spans(drawn([])) == [("green", 0, 30)]
    assert spans(drawn([], status="needs_reauth")) == [("red", 0, 30)]


def test_a4_the_band_begins_where_the_mailbox_does() -> None:
    assert spans(drawn([], age=3)) == [("green", 27, 3)]


def test_a4_changes_cut_the_band_into_what_the_status_was() -> None:
    found = drawn([(10, "connected", "suspect"), (9.5, "suspect", "needs_reauth"), (4, "needs_reauth", "connected")])
    assert spans(found) == [("green", 0, 20), ("amber", 20, 0.5), ("red", 20.5, 5.5), ("green", 26, 4)]
    assert "Connected 80.0 % of the time" in found.words
    assert found.bands[2].title.startswith("Reconnect required: 11 Nov 00:00 to 16 Nov 12:00")


def test_a4_a_change_of_the_reason_alone_does_not_cut() -> None:
    assert spans(drawn([(5, "error", "error")], status="error")) == [("orange", 0, 30)]


def test_a4_bands_lie_side_by_side_and_fill_the_time() -> None:
    found = drawn(
        [
            (float(day), "connected" if day % 2 else "error", "error" if day % 2 else "connected")
            for day in range(29, 0, -1)
        ]
    )
    edges = [(band.x, band.x + band.width) for band in found.bands]
    assert all(abs(a[1] - b[0]) < 0.02 for a, b in pairwise(edges))
    assert (edges[0][0], round(edges[-1][1])) == (0, 720)


def test_a4_response_times_are_averaged_and_broken_where_nothing_was_measured() -> None:
    days = [
        (date(2026, 11, 18), {"12": {"smtp": [2, 0, 400, 300]}, "15": {"smtp": [1, 1, 100, 100]}}),
        (
            date(2026, 11, 20),
            {"6": {"smtp": [1, 0, 600, 600], "oauth": [1, 0, 9000, 9000]}, "9": {"smtp": [0, 4, 0, 0]}},
        ),
    ]
    found = draw([], days, status="connected", created_at=START - 60 * DAY, now=START)
    (line,) = found.lines
    assert (line.leg, line.average_ms, line.slowest_ms, found.top_ms) == ("smtp", 275, 600, 600)
    assert re.findall(r"[ML]", line.path) == ["M", "L", "M"]
    assert "SMTP takes 275 ms (slowest 600 ms)" in found.words


def test_a4_a_mailbox_never_proved_is_not_called_disconnected() -> None:
    assert drawn([], status="unverified").words == "Nothing is known yet."


def test_a4_a_mailbox_made_this_instant_is_drawn_too() -> None:
    found = draw([], [], status="unverified", created_at=START, now=START)
    assert (found.bands, found.words) == ([], "Nothing is known yet.")
    assert isinstance(drawn([], age=0.001).bands[0], Band)


def busy(support: User) -> Mailbox:
    mailbox = make_mailbox(created_at=timezone.now() - 2 * DAY)
    at = (timezone.now() - DAY).replace(hour=9)  # well inside one day
    record([evidence(mailbox, leg, at=at, took_ms=120) for leg in (Leg.SMTP, Leg.IMAP)], now=at)
    record([evidence(mailbox, Leg.SMTP, TIMED_OUT, at=at + HOUR)], now=at + HOUR)
    refuse(mailbox, at=at + 2 * HOUR)
    holds.hold([mailbox.pk], reason="on holiday", acting_user=support, now=at + 3 * HOUR)
    return Mailbox.objects.get(pk=mailbox.pk)


@pytest.mark.django_db
def test_a4_the_timeline_tells_changes_failures_and_deeds_newest_first(support: User) -> None:
    listed, older = timeline.days(busy(support), timezone.now())
    titles = [event.title for day in listed for event in day.events]
    assert older is None
    assert {"Paused", "Not verified → Connected", "Connected → Checking", "Checking → Reconnect required"} <= set(
        titles
    )
    assert "SMTP failed: wrong password or login" in titles
    times = [event.at for day in listed for event in day.events]
    assert times == sorted(times, reverse=True)
    assert any("SMTP 1 passed" in day.counted for day in listed)


@pytest.mark.django_db
def test_a4_the_timeline_is_read_in_pieces_without_gap_or_double(support: User) -> None:
    mailbox = busy(support)
    at = timezone.now() - 5 * HOUR
    for minute in range(30):
        then = at + timedelta(minutes=minute)
        record([evidence(mailbox, Leg.SMTP, REFUSED, at=then)], now=then)
    whole, older = timeline.days(mailbox, timezone.now(), rows=1000)
    assert older is None
    pieces = 0
    before: datetime | None = timezone.now()
    while before:
        listed, before = timeline.days(mailbox, before, rows=7)
        pieces += told(listed)
    assert pieces == told(whole) > 30


def told(listed: list[timeline.Day]) -> int:
    return sum(event.times for day in listed for event in day.events)


@pytest.mark.django_db
def test_a4_the_same_failure_again_and_again_is_told_once() -> None:
    mailbox, midday = make_mailbox(), START + DAY
    for minute in range(9):
        at = midday + timedelta(minutes=minute)
        record([evidence(mailbox, Leg.SMTP, REFUSED, at=at)], now=at)
    listed, _older = timeline.days(mailbox, midday + HOUR)
    again = [event for event in listed[0].events if event.times > 1]
    assert [(event.title, event.times) for event in again] == [("SMTP failed: wrong password or login", 8)]
    assert again[0].since == midday + timedelta(minutes=1)


@pytest.mark.django_db
def test_a4_days_without_events_are_one_line() -> None:
    mailbox = make_mailbox()
    for day in range(1, 8):
        at = START + day * DAY
        record([evidence(mailbox, leg, at=at) for leg in (Leg.SMTP, Leg.IMAP)], now=at)
    quiet, first, _made = timeline.days(mailbox, START + 8 * DAY)[0]
    assert (quiet.first, quiet.last, quiet.counted) == (
        (START + 2 * DAY).date(), (START + 7 * DAY).date(), "SMTP 6 passed · IMAP 6 passed",
    )  # fmt: skip
    assert [event.title for event in first.events] == ["Not verified → Connected"]


@pytest.mark.django_db
def test_a4_the_page_shows_picture_and_timeline(support: User, support_client: Client) -> None:
    shown = text(support_client, page(busy(support)))
    assert 'class="pm-picture"' in shown and "pm-band-red" in shown and "pm-line-smtp" in shown
    assert "SMTP takes 120 ms" in shown
    assert "Checking → Reconnect required" in shown and "on holiday" in shown


@pytest.mark.django_db
@pytest.mark.parametrize(
    "before", ["", "nonsense", "2026-11-20", "2026-11-20T10:00:00", "9999-99-99T00:00:00Z", "2020-01-01T00:00:00Z"]
)
def test_a4_any_place_in_the_timeline_is_answered(support_client: Client, before: str) -> None:
    mailbox = make_mailbox()
    assert support_client.get(page(mailbox), {"before": before}).status_code == 200


@pytest.mark.django_db
def test_a4_a_long_history_costs_the_same_queries_as_a_short_one(support: User, support_client: Client) -> None:
    mailbox, counts = busy(support), []
    text(support_client, page(mailbox))  # the session's first request asks more
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            text(support_client, page(mailbox))
        counts.append(len(queries))
        for minute in range(40):
            then: datetime = timezone.now() - timedelta(minutes=minute)
            record([evidence(mailbox, Leg.SMTP, REFUSED, at=then)], now=then)
    assert counts[0] == counts[1]


@pytest.mark.django_db
def test_a4_a_test_of_new_credentials_stands_in_the_timeline(support: User, support_client: Client) -> None:
    mailbox = make_mailbox()
    Trial.objects.create(
        workspace=mailbox.workspace, mailbox=mailbox, address=mailbox.address, kind="password", asked_by=support,
        asked_at=START, done_at=START, verdict="refused", category="auth_failed", text="535 no",
    )  # fmt: skip
    shown = text(support_client, page(mailbox))
    assert "Test of new credentials refused: wrong password or login" in shown and "not stored, by sue" in shown
