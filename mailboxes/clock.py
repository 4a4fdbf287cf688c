"""The time of the database, so that machines whose clocks differ agree on leases, due times and evidence (SPEC H17).

Asking the database at every use would cost a query each; so its time is read once in a while and carried on by the
machine's monotonic clock, which no time service turns back. SQLite runs in this process: its time is ours.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)

SYNC_EVERY_S = 60.0
# H17: a worker whose clock is off by more than this says so.
ALLOWED_OFFSET = timedelta(seconds=5)


def machine_time() -> datetime:
    """Return UTC by this machine's clock, which may be wrong."""
    return datetime.now(UTC)


class DatabaseClock:
    """UTC by the database's clock. Call it for the time; safe in coroutines, which never wait for the database."""

    def __init__(self, machine: Callable[[], datetime] = machine_time) -> None:
        self._machine = machine
        self._base: datetime | None = None  # the database's time at `_read_at`
        self._read_at = 0.0

    def __call__(self) -> datetime:
        """Return the present time in UTC."""
        if self._is_old() and not _in_event_loop():
            self.sync()
        if self._base is None:
            return self._machine()
        return self._base + timedelta(seconds=time.monotonic() - self._read_at)

    def sync(self) -> None:
        """Read the database's time now. Where it cannot be read, the last reading goes on to count."""
        began = time.monotonic()
        try:
            found = _database_time()
        except DatabaseError:
            return
        ended = time.monotonic()
        self._base, self._read_at = found, (began + ended) / 2
        if abs(self.offset()) > ALLOWED_OFFSET:
            logger.warning("the clock of this machine is %.1f s from the database's", self.offset().total_seconds())

    def offset(self) -> timedelta:
        """Return how far this machine's clock is ahead of the database's; negative where it is behind."""
        if self._base is None:
            return timedelta(0)
        return self._machine() - (self._base + timedelta(seconds=time.monotonic() - self._read_at))

    def _is_old(self) -> bool:
        return self._base is None or time.monotonic() - self._read_at > SYNC_EVERY_S


def _database_time() -> datetime:
    if connection.vendor != "postgresql":
        return machine_time()
    with connection.cursor() as cursor:
        # Not CURRENT_TIMESTAMP: that is the beginning of the transaction.
        cursor.execute("SELECT clock_timestamp()")
        (found,) = cursor.fetchone()
    assert isinstance(found, datetime)
    return found.astimezone(UTC)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


now = DatabaseClock()
