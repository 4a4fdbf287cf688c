"""When a campaign may send, in its own time zone. Pure; times in and out are aware."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError

SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Window:
    """The hours of a day in a zone. One that ends before it begins runs over midnight; equal ends mean all day."""

    zone: str
    begins: time
    ends: time
    on_weekends: bool

    def is_open(self, moment: datetime) -> bool:
        """True where mail may go out at this moment. The weekend is that of the day on which the window began."""
        local = moment.astimezone(ZoneInfo(self.zone))
        clock, weekday = local.time(), local.weekday()
        if self.begins < self.ends:
            inside = self.begins <= clock < self.ends
        else:
            inside = clock >= self.begins or clock < self.ends
            weekday = (weekday - 1) % 7 if clock < self.ends and self.begins != self.ends else weekday
        return inside and (self.on_weekends or weekday < SATURDAY)

    def day_began(self, moment: datetime) -> datetime:
        """Midnight before this moment, there."""
        return moment.astimezone(ZoneInfo(self.zone)).replace(hour=0, minute=0, second=0, microsecond=0)


def check_zone(name: str) -> None:
    """Raises ValidationError for a zone that is none."""
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is no time zone. Write it as in Europe/Berlin or America/New_York.")
