"""How fast time passes for sending. 1 in earnest; the demo lets an hour of waiting pass in a minute (MAIL_SPEED).

Only waiting and calendars are sped up: times that are stored are the real ones.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings


def lasting(wait: timedelta) -> timedelta:
    """How long a wait really lasts."""
    return wait / float(settings.MAIL_SPEED)


def calendar(now: datetime) -> datetime:
    """The time that windows and days are reckoned by: real time, sped up since MAIL_SPEED_FROM."""
    speed = float(settings.MAIL_SPEED)
    return now if speed == 1 else settings.MAIL_SPEED_FROM + (now - settings.MAIL_SPEED_FROM) * speed


def real(moment: datetime) -> datetime:
    """The real time at which the calendar comes to this moment."""
    speed = float(settings.MAIL_SPEED)
    return moment if speed == 1 else settings.MAIL_SPEED_FROM + (moment - settings.MAIL_SPEED_FROM) / speed
