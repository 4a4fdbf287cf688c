"""What happened to a mailbox, newest first: changes of status, failures, asked checks, and what people did (A4).

Passing checks have no rows: each day's heading counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import groupby

from django.db.models import QuerySet

from mailboxes.models import AskedCheck, AuditEntry, CheckDay, Failure, Mailbox, StatusChange, Trial
from mailboxes.wire.values import Leg
from mailboxes.wording import cause_words, status_label

ROWS = 40
Counts = dict[str, tuple[int, int]]  # of each leg: passed, failed
_STATUS_COLOURS = {"connected": "green", "suspect": "amber", "needs_reauth": "red", "error": "orange"}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline; what was seen `times` times in a row is one, from `since` on."""

    at: datetime
    colour: str
    title: str
    detail: str = ""
    words: str = ""
    times: int = 1
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """A day's events under its heading, or a run of days without any. `counted` says what passed and failed."""

    first: date
    last: date
    counted: str
    events: Sequence[Event]


def days(mailbox: Mailbox, before: datetime, rows: int = ROWS) -> tuple[list[Day], datetime | None]:
    """The newest events before that time, by day, and where older ones begin (None for no more). Six queries."""
    parts = [
        [_changed(row) for row in mailbox.status_changes.filter(at__lt=before)[: rows + 1]],
        [_failed(row) for row in mailbox.failures.filter(at__lt=before)[: rows + 1]],
        [_asked(row) for row in _asked_rows(mailbox, before)[: rows + 1]],
        [_tried(row) for row in _trial_rows(mailbox, before)[: rows + 1]],
        [_did(row) for row in mailbox.audit_entries.filter(at__lt=before).select_related("actor")[: rows + 1]],
    ]
    found = list(merge(*parts, key=lambda event: event.at, reverse=True))
    # What happened at one instant stays together: the next piece begins before it.
    shown = [event for event in found if event.at >= found[min(rows, len(found)) - 1].at]
    more = len(found) > len(shown)
    by_day = {day: _collapsed(events) for day, events in groupby(shown, key=_day)}
    counts = _counts(mailbox, before, min(by_day) if more else None)
    return _listed(by_day, counts), (shown[-1].at if more else None)


def _day(event: Event) -> date:
    return event.at.astimezone(UTC).date()


def _collapsed(events: Iterable[Event]) -> list[Event]:
    """The same again and again is told once, with its number."""
    told: list[Event] = []
    for event in events:
        last = told[-1] if told else None
        if last and (last.title, last.detail, last.words) == (event.title, event.detail, event.words):
            told[-1] = replace(last, times=last.times + 1, since=event.at)
        else:
            told.append(event)
    return told


def _listed(by_day: Mapping[date, Sequence[Event]], counts: Mapping[date, Counts]) -> list[Day]:
    """Every day that has something to tell, the newest first; days without events next to each other are one."""
    listed: list[Day] = []
    for quiet, run in groupby(sorted(by_day.keys() | counts.keys(), reverse=True), key=lambda day: day not in by_day):
        in_run = list(run)
        groups = [in_run] if quiet else [[day] for day in in_run]
        for group in groups:
            total = _sum(counts.get(day, {}) for day in group)
            listed.append(Day(group[-1], group[0], _words(total), by_day.get(group[0], [])))
    return listed


def _asked_rows(mailbox: Mailbox, before: datetime) -> QuerySet[AskedCheck]:
    return mailbox.asked_checks.filter(done_at__lt=before).select_related("asked_by").order_by("-done_at")


def _trial_rows(mailbox: Mailbox, before: datetime) -> QuerySet[Trial]:
    return mailbox.trials.filter(done_at__lt=before).select_related("asked_by").order_by("-done_at")


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


def _tried(row: Trial) -> Event:
    assert row.done_at is not None
    cause = f": {cause_words(row.category).lower()}" if row.category else ""
    kept = "stored" if row.kept_at else "not stored"
    who = f"by {row.asked_by}" if row.asked_by else ""
    title = f"Test of new credentials {row.verdict}{cause}"
    return Event(row.done_at, "green" if row.kept_at else "grey", title, _join(kept, who, row.note), row.text)


def _did(row: AuditEntry) -> Event:
    return Event(row.at, "violet", row.action.capitalize(), _join(f"by {row.actor or 'the system'}", row.detail))


def _counts(mailbox: Mailbox, before: datetime, since: date | None) -> dict[date, Counts]:
    """What passed and failed on each day that has been counted, back to `since` or for a month."""
    last = before.astimezone(UTC).date()
    first = since or last - timedelta(days=30)
    rows = CheckDay.objects.filter(mailbox=mailbox, day__range=(first, last)).values_list("day", "hours")
    return {day: _sum(hours.values()) for day, hours in rows}


def _sum(parts: Iterable[Mapping[str, Sequence[int]]]) -> Counts:
    total: Counts = {}
    for part in parts:
        for leg, (passed, failed, *_times) in part.items():
            so_far = total.get(leg, (0, 0))
            total[leg] = (so_far[0] + passed, so_far[1] + failed)
    return total


def _words(counts: Counts) -> str:
    known = [(leg.value.upper(), *counts[leg.value]) for leg in Leg if leg.value in counts]
    return " · ".join(
        f"{leg} {passed} passed" + (f", {failed} failed" if failed else "") for leg, passed, failed in known
    )


def _plain(source: str) -> str:
    return source.replace("_", " ")


def _join(*words: str) -> str:
    return ", ".join(word for word in words if word)
