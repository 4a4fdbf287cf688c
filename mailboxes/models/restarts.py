"""Work that goes through although the database restarts meanwhile: results in memory must not be lost with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")

# A restart of PostgreSQL takes seconds; a switch to its standby up to half a minute.
RESTART_S = 30.0
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0


def retry_through_restart(
    work: Callable[[], ResultT],
    *,
    wait: Callable[[float], object] = time.sleep,
    elapsed: Callable[[], float] = time.monotonic,
) -> ResultT:
    """Return what `work` returns, tried anew for 30 seconds while the database is away or picks us in a deadlock.

    `work` must be safe to run twice: a whole transaction, or one statement. Inside the caller's transaction it is
    tried once, since what came before it is lost too. Raises the last error of the database.
    """
    until = elapsed() + RESTART_S
    pause = FIRST_WAIT_S
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or elapsed() >= until:
                raise
            logger.warning("the database did not answer; tried again in %.1f s", pause)
        connection.close()  # a connection that broke is of no more use
        wait(pause)
        pause = min(2 * pause, LONGEST_WAIT_S)
