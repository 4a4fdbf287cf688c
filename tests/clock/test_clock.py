"""The time is the database's (SPEC H17, finding HLT-6)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import pytest

from mailboxes import clock
from mailboxes.clock import DatabaseClock, machine_time
from mailboxes.health.due import LEASE, claim_due
from mailboxes.health.outgoing import from_settings
from mailboxes.health.record import record
from mailboxes.models import Failure, Mailbox
from tests.make import REFUSED, evidence, make_mailbox, state_of

pytestmark = pytest.mark.django_db
FIVE = timedelta(minutes=5)


def ahead() -> datetime:
    return machine_time() + FIVE


def behind() -> datetime:
    return machine_time() - FIVE


def test_h17_machines_whose_clocks_differ_read_the_same_time() -> None:
    times = [DatabaseClock(machine)() for machine in (machine_time, ahead, behind)]
    assert max(times) - min(times) < timedelta(seconds=2)


def test_hlt6_a_lease_taken_by_one_machine_holds_for_one_whose_clock_is_ahead() -> None:
    made = {make_mailbox().pk for _ in range(5)}
    assert set(claim_due(10, DatabaseClock(behind)())) == made
    assert claim_due(10, DatabaseClock(ahead)()) == []
    assert LEASE < FIVE  # by the machines' own clocks, the second would have claimed all five again


def test_hlt6_what_a_machine_that_is_behind_observes_is_not_stale() -> None:
    mailbox = make_mailbox()
    first, second = DatabaseClock(ahead), DatabaseClock(behind)
    record([evidence(mailbox, at=first())], now=first())
    at = second()
    record([evidence(mailbox, failure=REFUSED, at=at, begun=at)], now=at)
    assert Failure.objects.get(mailbox=mailbox).ignored == ""


def test_h17_due_times_follow_the_database_and_not_the_machine() -> None:
    mailbox, ours = make_mailbox(), DatabaseClock(ahead)
    Mailbox.objects.update(wants_imap=False)
    record([evidence(mailbox, at=ours())], now=ours())
    due = state_of(mailbox).next_check_at
    assert due is not None and due < machine_time() + timedelta(minutes=73)


def test_h17_a_machine_whose_clock_is_off_by_more_than_five_seconds_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        DatabaseClock(machine_time).sync()
        assert caplog.records == []
        slow = DatabaseClock(behind)
        slow.sync()
    assert "300.0 s from the database's" in caplog.text
    assert timedelta(seconds=299) < -slow.offset() < timedelta(seconds=301)


def test_h17_the_way_out_takes_its_time_from_the_database() -> None:
    assert from_settings().clock is clock.now
