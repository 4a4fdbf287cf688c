"""Every number that decides about a mailbox's health, named. Pure. The reasons stand in docs/decisions/0010.

An operator sets one by HEALTH_THRESHOLDS, and `manage.py simulate` shows beforehand what that would have done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any


def _minutes(*values: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=value) for value in values)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers of SPEC H4 to H6, H9, H10 and H12. Durations, unless the name says otherwise."""

    # H4: how certain a refusal must be.
    confirm_named_after: timedelta = timedelta(seconds=75)
    named_lasts: timedelta = timedelta(seconds=60)
    named_logins: int = 2
    confirm_bare_after: timedelta = timedelta(minutes=10, seconds=15)
    bare_lasts: timedelta = timedelta(minutes=10)
    bare_logins: int = 3
    retry_flagged_after: tuple[timedelta, ...] = _minutes(60, 240)
    retry_flagged_every: timedelta = timedelta(days=1)
    retry_flagged_for: timedelta = timedelta(days=14)
    # H5 and H16: what may pass, and what a setting causes.
    look_again_after: timedelta = timedelta(seconds=45)
    suspect_failures: int = 2
    check_again_after: tuple[timedelta, ...] = _minutes(1, 2, 5, 10, 15)
    confirm_lasts: timedelta = timedelta(minutes=10)
    confirm_checks: int = 3
    settings_checks: int = 2
    broken_every: timedelta = timedelta(minutes=15)
    broken_long: timedelta = timedelta(days=1)
    broken_long_every: timedelta = timedelta(hours=1)
    disconnected_after: timedelta = timedelta(hours=24)
    # H6: what nobody can read.
    unsure_logins: tuple[timedelta, ...] = _minutes(0, 15, 60, 120)
    # D1: too many logins, says the provider.
    throttled_first: timedelta = timedelta(minutes=30)
    throttled_longest: timedelta = timedelta(hours=4)
    # H10: the usual rounds.
    connected_every: timedelta = timedelta(minutes=60)
    connected_spread: float = 0.2
    together_within: timedelta = timedelta(minutes=12)
    cured_elsewhere_every: timedelta = timedelta(days=1)
    tenant_probe_every: timedelta = timedelta(seconds=45)
    tenant_probe_later: timedelta = timedelta(minutes=10)
    tenant_probe_eager_for: timedelta = timedelta(hours=24)
    # H9: incidents.
    incident_window: timedelta = timedelta(minutes=3)
    ours_window: timedelta = timedelta(seconds=45)
    incident_failing: int = 5
    incident_share: float = 0.2
    incident_worse_window: timedelta = timedelta(minutes=15)
    incident_worse_times_usual: float = 4.0
    incident_workspaces: int = 3
    candidate_part: float = 0.5
    candidate_holds_for: timedelta = timedelta(minutes=10)
    candidate_pulls_forward: int = 10
    asks_other_providers: int = 4
    asks_mailboxes_of_each: int = 2
    incident_looks_back: timedelta = timedelta(minutes=15)
    incident_closes_below: float = 0.05
    incident_closes_after: timedelta = timedelta(minutes=10)
    incident_reopens_within: timedelta = timedelta(hours=24)
    incident_long: timedelta = timedelta(hours=24)
    incident_others_pass: float = 0.95
    held_every: tuple[tuple[timedelta, timedelta], ...] = (
        (timedelta(hours=1), timedelta(minutes=10)),
        (timedelta(hours=6), timedelta(minutes=30)),
    )
    held_long_every: timedelta = timedelta(hours=1)
    held_ours_every: timedelta = timedelta(minutes=5)
    released_within: timedelta = timedelta(minutes=8)
    recovering_tries: int = 3
    recovering_share: float = 0.8
    recovering_again_after: timedelta = timedelta(minutes=15)
    flags_window: timedelta = timedelta(minutes=10)
    flags_cap: int = 20
    flags_cap_share: float = 0.02
    flags_of_one_workspace: int = 5
    flags_waves_apart: int = 3
    new_version_suspect_for: timedelta = timedelta(minutes=30)
    # H9: recipients who are said not to exist.
    recipients_window: timedelta = timedelta(hours=1)
    recipients_least: int = 5
    recipients_times_usual: float = 4.0
    recipients_workspaces: int = 3
    recipients_held_for: timedelta = timedelta(days=1)
    # H12: flapping.
    flapping_changes: int = 3
    flapping_window: timedelta = timedelta(hours=24)
    flapping_ends_after: timedelta = timedelta(hours=6)


DEFAULT = Thresholds()


def thresholds_from(overrides: Mapping[str, Any]) -> Thresholds:
    """Return the defaults with these values in place of some: seconds for durations, lists of seconds for rows.

    Raises ValueError that names a threshold which does not exist or a value that does not fit.
    """
    known = {field.name: getattr(DEFAULT, field.name) for field in fields(Thresholds)}
    changed = {}
    for name, value in overrides.items():
        if name not in known:
            raise ValueError(f"HEALTH_THRESHOLDS: {name!r} is not a threshold. Known: {', '.join(sorted(known))}")
        changed[name] = _as(name, known[name], value)
    return replace(DEFAULT, **changed)


def _as(name: str, known: Any, value: Any) -> Any:
    try:
        if isinstance(known, tuple):
            return tuple(timedelta(seconds=float(one)) for one in value)
        if isinstance(known, timedelta):
            return timedelta(seconds=float(value))
        return type(known)(value)
    except (TypeError, ValueError):
        raise ValueError(f"HEALTH_THRESHOLDS: {name} cannot be {value!r}; give seconds, or a plain number") from None
