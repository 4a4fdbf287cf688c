"""Checks counted by the hour, one row for a mailbox's day: the picture of the last 30 days comes from it (O5, A4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date

from mailboxes.health.evidence import Evidence
from mailboxes.models import CheckDay

Hours = dict[str, dict[str, list[int]]]


def merged(hours: Mapping[str, Mapping[str, Sequence[int]]], evidence: Iterable[Evidence]) -> Hours:
    """A day's hours with this evidence counted in. Pure; the evidence is all of that day."""
    found: Hours = {hour: {leg: list(values) for leg, values in legs.items()} for hour, legs in hours.items()}
    for item in evidence:
        legs = found.setdefault(str(item.observed_at.astimezone(UTC).hour), {})
        passed, failed, total_ms, slowest_ms = legs.get(item.leg.value, [0, 0, 0, 0])
        if item.failure is None:
            legs[item.leg.value] = [passed + 1, failed, total_ms + item.took_ms, max(slowest_ms, item.took_ms)]
        else:
            legs[item.leg.value] = [passed, failed + 1, total_ms, slowest_ms]
    return found


def add(evidence: Iterable[Evidence]) -> None:
    """Count evidence in, inside the caller's transaction, which has locked the mailboxes' check states. Two queries."""
    by_day: dict[tuple[int, date], list[Evidence]] = defaultdict(list)
    for item in evidence:
        by_day[item.mailbox_id, item.observed_at.astimezone(UTC).date()].append(item)
    if not by_day:
        return
    mailboxes, days = {key for key, _day in by_day}, {day for _key, day in by_day}
    rows = CheckDay.objects.filter(mailbox_id__in=mailboxes, day__in=days).values_list("mailbox_id", "day", "hours")
    known = {(mailbox_id, day): hours for mailbox_id, day, hours in rows}
    fresh = [
        CheckDay(mailbox_id=key[0], day=key[1], hours=merged(known.get(key, {}), items))
        for key, items in by_day.items()
    ]
    CheckDay.objects.bulk_create(
        fresh, update_conflicts=True, unique_fields=["mailbox", "day"], update_fields=["hours"]
    )
