"""A database that restarts takes no result with it (finding HLT-7)."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from mailboxes.models.restarts import RESTART_S, retry_through_restart


class Waits:
    """A clock that moves by what is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self, seconds: float) -> None:
        self.now += seconds


class Away:
    """A database that answers after so many seconds, by this clock."""

    def __init__(self, waits: Waits, seconds: float, error: type[DatabaseError] = OperationalError) -> None:
        self.waits, self.until, self.error, self.tries = waits, seconds, error, 0

    def __call__(self) -> str:
        self.tries += 1
        if self.waits.now < self.until:
            raise self.error("the server closed the connection")
        return "stored"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("seconds", [0.0, 1.0, 15.0, RESTART_S - 2])
def test_hlt7_what_a_restart_interrupts_is_stored_afterwards(seconds: float, error: type[DatabaseError]) -> None:
    waits = Waits()
    work = Away(waits, seconds, error)
    assert retry_through_restart(work, wait=waits, elapsed=lambda: waits.now) == "stored"


@pytest.mark.django_db(transaction=True)
def test_hlt7_a_database_that_stays_away_is_given_up_after_half_a_minute() -> None:
    waits = Waits()
    work = Away(waits, 3600)
    with pytest.raises(OperationalError):
        retry_through_restart(work, wait=waits, elapsed=lambda: waits.now)
    assert RESTART_S <= waits.now < RESTART_S + 3
    assert work.tries < 30


@pytest.mark.django_db(transaction=True)
def test_hlt7_inside_a_transaction_it_is_tried_once() -> None:
    waits = Waits()
    work = Away(waits, 1.0)
    with pytest.raises(OperationalError), transaction.atomic():
        retry_through_restart(work, wait=waits, elapsed=lambda: waits.now)
    assert work.tries == 1
    assert connection.is_usable()
