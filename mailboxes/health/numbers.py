"""The thresholds in force: the defaults, with what the operator set (HEALTH_THRESHOLDS)."""

from __future__ import annotations

import json
from functools import cache

from django.conf import settings

from mailboxes.health.thresholds import Thresholds, thresholds_from


def in_force() -> Thresholds:
    """Return the thresholds in force. Raises ValueError that names a bad one."""
    return _made(settings.HEALTH_THRESHOLDS, settings.DISCONNECTED_AFTER_HOURS)


@cache
def _made(overrides: str, disconnected_after_hours: float) -> Thresholds:
    given = json.loads(overrides) if overrides else {}
    if not isinstance(given, dict):
        raise ValueError('HEALTH_THRESHOLDS must be a JSON object, as in {"bare_logins": 3}')
    return thresholds_from({"disconnected_after": disconnected_after_hours * 3600} | given)
