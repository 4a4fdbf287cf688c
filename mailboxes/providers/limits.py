"""What each provider lets one mailbox send (`limits.toml`). Pure data and look-ups."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("limits.toml")


class Window(StrEnum):
    """A time in which a provider counts, rolling."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}[self.value]


@dataclass(frozen=True, slots=True)
class SendLimits:
    """The most that a mailbox may send; None where no number is known."""

    messages_minute: int | None = None
    messages_hour: int | None = None
    messages_day: int | None = None
    recipients_minute: int | None = None
    recipients_hour: int | None = None
    recipients_day: int | None = None
    recipients_message: int | None = None

    def of(self, what: str, window: Window) -> int | None:
        """The limit of messages or recipients in a window."""
        found: int | None = getattr(self, f"{what}_{window.value}")
        return found

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows in which this provider is known to count, the shortest first."""
        return tuple(window for window in Window if self.of("messages", window) or self.of("recipients", window))


NO_LIMITS = SendLimits()


def limits_of(provider: str) -> SendLimits:
    """A preset's limits; none known for another provider."""
    return table().get(provider, NO_LIMITS)


@cache
def table() -> dict[str, SendLimits]:
    """Every preset whose limits are known. Raises ValueError for a key that is none."""
    known = {field.name for field in fields(SendLimits)}
    with _FILE.open("rb") as file:
        rows = tomllib.load(file)
    for provider, row in rows.items():
        if unknown := row.keys() - known:
            raise ValueError(f"limits.toml, {provider}: unknown {', '.join(sorted(unknown))}")
    return {provider: SendLimits(**row) for provider, row in rows.items()}
