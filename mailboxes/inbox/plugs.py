"""What the upper apps do with mail: they take note of what answers them, and choose what is sent next. They are named
in settings (MAIL_APPS, in their order), so that mailboxes need not know them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from django.conf import settings
from django.db import InterfaceError, OperationalError

from mailboxes.wire.faults import log_fault

logger = logging.getLogger(__name__)


class MailApp(Protocol):
    """A module of an upper app."""

    def take(self, now: datetime) -> int:
        """Take note of what arrived; how many messages were taken."""

    def choose(self, limit: int, now: datetime) -> int:
        """Queue what may be sent now; how many messages were queued."""

    def is_waiting(self, now: datetime) -> bool:
        """True where it might have something to send."""

    def keen(self, mailbox_ids: Collection[int]) -> set[int]:
        """Those whose answers are waited for: they are read more often (I4)."""


@cache
def apps() -> tuple[MailApp, ...]:
    """The apps, the most urgent first."""
    return tuple(cast(MailApp, import_module(name)) for name in settings.MAIL_APPS)


def take(now: datetime) -> int:
    """Have all take note of what arrived."""
    return _each(lambda app: app.take(now))


def choose(limit: int, now: datetime) -> int:
    """Have each choose in turn: campaigns before warm-up."""
    return _each(lambda app: app.choose(limit, now))


def _each(work: Callable[[MailApp], int]) -> int:
    """A fault of one app must not stop the others, nor what people wrote by hand. Its trace is logged, and not
    its text, which may hold a letter; the database's own faults are the caller's."""
    done = 0
    for app in apps():
        try:
            done += work(app)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log_fault(logger, error, "%s failed", app.choose.__module__)
    return done


def is_waiting(now: datetime) -> bool:
    """True where any of them might have something to send."""
    return any(app.is_waiting(now) for app in apps())


def keen(mailbox_ids: Collection[int]) -> set[int]:
    """Those that any app is keen on."""
    return {key for app in apps() for key in app.keen(mailbox_ids)}
