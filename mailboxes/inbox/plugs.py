"""What the upper apps do with mail: they take note of what answers them, and choose what is sent next. They are named
in settings (MAIL_APPS, in their order), so that mailboxes need not know them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from django.conf import settings


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
    return sum(app.take(now) for app in apps())


def choose(limit: int, now: datetime) -> int:
    """Have each choose in turn: campaigns before warm-up."""
    return sum(app.choose(limit, now) for app in apps())


def is_waiting(now: datetime) -> bool:
    """True where any of them might have something to send."""
    return any(app.is_waiting(now) for app in apps())


def keen(mailbox_ids: Collection[int]) -> set[int]:
    """Those that any app is keen on."""
    return {key for app in apps() for key in app.keen(mailbox_ids)}
