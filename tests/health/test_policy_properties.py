"""Random sequences of evidence through the real door (SPEC H5, H8; hypothesis)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailboxes.health.record import record
from mailboxes.models import Mailbox, StatusChange
from mailboxes.wire.values import Leg
from tests.make import (
    BAD_CERTIFICATE,
    BAD_CLIENT,
    DAILY_LIMIT,
    IMAP_REFUSED,
    REFUSED,
    START,
    TENANT_OFF,
    TIMED_OUT,
    UNREADABLE,
    evidence,
    make_mailbox,
)

PASSING = [TIMED_OUT, DAILY_LIMIT, None, (TIMED_OUT[0], "ECONNREFUSED", "Connection refused")]
ANYTHING = [*PASSING, REFUSED, IMAP_REFUSED, TENANT_OFF, UNREADABLE, BAD_CERTIFICATE, BAD_CLIENT]
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
steps = st.tuples(st.sampled_from([Leg.SMTP, Leg.IMAP]), st.integers(1, 3000))


def play(mailbox: Mailbox, story: list[tuple[Leg, int, object]]) -> None:
    now = START
    for leg, minutes, failure in story:
        now += timedelta(minutes=minutes)
        record([evidence(mailbox, leg, failure, at=now)], now=now)  # type: ignore[arg-type]  # drawn from the lists


def chain(mailbox: Mailbox) -> list[StatusChange]:
    return list(StatusChange.objects.filter(mailbox=mailbox).order_by("number"))


@pytest.mark.django_db
@FEW
@given(st.lists(st.tuples(steps, st.sampled_from(PASSING)), max_size=14))
def test_h5_no_sequence_of_passing_faults_reaches_needs_reauth(story: list[tuple[tuple[Leg, int], object]]) -> None:
    mailbox = make_mailbox()
    play(mailbox, [(leg, minutes, failure) for (leg, minutes), failure in story])
    assert "needs_reauth" not in {change.to_status for change in chain(mailbox)}


@pytest.mark.django_db
@FEW
@given(st.lists(st.tuples(steps, st.sampled_from(ANYTHING)), max_size=14))
def test_h10_when_all_wanted_legs_pass_it_ends_connected(story: list[tuple[tuple[Leg, int], object]]) -> None:
    mailbox = make_mailbox()
    play(mailbox, [(leg, minutes, failure) for (leg, minutes), failure in story])
    later = START + timedelta(days=60)
    record([evidence(mailbox, leg, at=later) for leg in (Leg.SMTP, Leg.IMAP)], now=later)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.needs_reconnect, mailbox.category) == ("connected", False, "")


@pytest.mark.django_db
@FEW
@given(st.lists(st.tuples(steps, st.sampled_from(ANYTHING)), max_size=14))
def test_h8_every_change_has_one_row_and_the_rows_chain(story: list[tuple[tuple[Leg, int], object]]) -> None:
    mailbox = make_mailbox()
    play(mailbox, [(leg, minutes, failure) for (leg, minutes), failure in story])
    rows = chain(mailbox)
    mailbox.refresh_from_db()
    before = ("unverified", "")
    for number, row in enumerate(rows, 1):
        assert (row.number, row.from_status, row.from_reason) == (number, *before)
        before = (row.to_status, row.to_reason)
    assert before == (mailbox.status, mailbox.pause_reason)
    assert mailbox.state_version == len(rows)
