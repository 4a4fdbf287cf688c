"""What happened to a mailbox, newest first: changes of status, failures, asked checks, and what people did (A4).

Passing checks have no rows: each day's heading counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import groupby

from django.db.models import QuerySet

from mailboxes.admin.badges import cause_words, status_label
from mailboxes.models import AskedCheck, AuditEntry, CheckDay, Failure, Mailbox, StatusChange

ROWS = 40
_STATUS_COLOURS = {"connected": "green", "suspect": "amber", "needs_reauth": "red", "error": "orange"}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline."""

    at: datetime
    colour: str
    title: str
    detail: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """A day's events under its heading; `counted` says what passed and failed on it."""

    day: date
    counted: str
    events: Sequence[Event] = field(default_factory=list)


def days(mailbox: Mailbox, before: datetime, rows: int = ROWS) -> tuple[list[Day], datetime | None]:
    """The newest events before that time, by day, and where older ones begin (None for no more). Five queries."""
    parts = [
        [_changed(row) for row in mailbox.status_changes.filter(at__lt=before)[: rows + 1]],
        [_failed(row) for row in mailbox.failures.filter(at__lt=before)[: rows + 1]],
        [_asked(row) for row in _asked_rows(mailbox, before)[: rows + 1]],
        [_did(row) for row in mailbox.audit_entries.filter(at__lt=before).select_related("actor")[: rows + 1]],
    ]
    found = list(merge(*parts, key=lambda event: event.at, reverse=True))
    # What happened at one instant stays together: the next piece begins before it.
    shown = [event for event in found if event.at >= found[min(rows, len(found)) - 1].at]
    older = len(found) > len(shown)
    by_day = {day: list(events) for day, events in groupby(shown, key=lambda event: event.at.astimezone(UTC).date())}
    counts = _counts(mailbox, before, min(by_day) if older else None)
    listed = sorted(by_day.keys() | counts.keys(), reverse=True)
    return [Day(day, counts.get(day, ""), by_day.get(day, [])) for day in listed], (shown[-1].at if older else None)


def _asked_rows(mailbox: Mailbox, before: datetime) -> QuerySet[AskedCheck]:
    return mailbox.asked_checks.filter(done_at__lt=before).select_related("asked_by").order_by("-done_at")


def _changed(row: StatusChange) -> Event:
    before, after = status_label(row.from_status), status_label(row.to_status)
    title = f"{before} → {after}" if before != after else f"{after}: {row.to_reason.replace('_', ' ') or 'no pause'}"
    cause = cause_words(row.category) if row.category else ""
    return Event(row.at, _STATUS_COLOURS.get(row.to_status, "grey"), title, _join(cause, f"by {_plain(row.source)}"))


def _failed(row: Failure) -> Event:
    ignored = f"ignored: {row.ignored}" if row.ignored else ""
    title = f"{row.leg.upper()} failed: {cause_words(row.category).lower()}"
    return Event(row.at, "grey", title, _join(f"at {row.stage}", _plain(row.source), ignored), row.text)


def _asked(row: AskedCheck) -> Event:
    assert row.done_at is not None
    legs = [
        f"{leg['leg'].upper()} {'passed' if all(step['ok'] for step in leg['steps']) else 'failed'}" for leg in row.legs
    ]
    who = f"asked for by {row.asked_by}" if row.asked_by else ""
    return Event(row.done_at, "grey", "Checked: " + (", ".join(legs) or "not possible"), _join(who, row.note))


def _did(row: AuditEntry) -> Event:
    return Event(row.at, "violet", row.action.capitalize(), _join(f"by {row.actor or 'the system'}", row.detail))


def _counts(mailbox: Mailbox, before: datetime, since: date | None) -> dict[date, str]:
    """What passed and failed on each day that has been counted, back to `since` or for a month."""
    last = before.astimezone(UTC).date()
    first = since or last - timedelta(days=30)
    rows = CheckDay.objects.filter(mailbox=mailbox, day__range=(first, last)).values_list("day", "hours")
    return {day: _counted(hours) for day, hours in rows}


def _counted(hours: dict[str, dict[str, list[int]]]) -> str:
    sums: dict[str, list[int]] = {}
    for legs in hours.values():
        for leg, (passed, failed, *_times) in legs.items():
            sums[leg] = [sums.get(leg, [0, 0])[0] + passed, sums.get(leg, [0, 0])[1] + failed]
    return " · ".join(
        f"{leg.upper()} {passed} passed" + (f", {failed} failed" if failed else "")
        for leg, (passed, failed) in sums.items()
    )


def _plain(source: str) -> str:
    return source.replace("_", " ")


def _join(*words: str) -> str:
    return ", ".join(word for word in words if word)
