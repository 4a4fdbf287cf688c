"""Recorded days decided once more, under other thresholds (SPEC X8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mailboxes import clock
from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.health.decide import Snapshot
from mailboxes.health.evidence import Evidence
from mailboxes.health.incidents.board import Board
from mailboxes.health.incidents.ledger import Ledger
from mailboxes.health.incidents.values import Phase
from mailboxes.health.policy import LegState, Standing
from mailboxes.health.rules import diagnose
from mailboxes.health.snapshots import look
from mailboxes.health.thresholds import Thresholds
from mailboxes.models import CheckDay, Failure, StatusChange
from mailboxes.states import Source, Status, needs_reconnect
from mailboxes.wire.values import Leg, Stage, Step

CHUNK = 2000


def replay(*, days: float, numbers: Thresholds) -> dict[str, Any]:
    """Decide the last so many days' failures anew and return how many would have been flagged, beside how many were.

    Passing checks leave no row: they are taken from the hourly counts, spread over their hour. Only mailboxes that had
    a failure are read, so the cost follows the failures.
    """
    until = clock.now()
    since = until - timedelta(days=days)
    failing = sorted(set(Failure.objects.filter(at__gte=since).values_list("mailbox_id", flat=True)))
    boxes = {
        key: found for at in range(0, len(failing), CHUNK) for key, found in look(failing[at : at + CHUNK]).items()
    }
    boxes = {key: _well(found, since) for key, found in boxes.items()}
    board = Board(numbers, Ledger(numbers))
    flagged: set[int] = set()
    changes = 0
    for at, group in _by_moment(list(boxes), since):
        batch = [(boxes[key], items) for key, items in group.items() if key in boxes]
        decisions, _changed = board.decide(batch, _diagnose, at)
        for decision in decisions:
            found, after = decision.snapshot, decision.standing
            changes += found.standing.state != after.state
            boxes[found.id] = replace(found, legs=decision.legs, standing=after)
            if _needs(after) and not _needs(found.standing):
                flagged.add(found.id)
    return {
        "scenario": "replay",
        "days": days,
        "mailboxes": len(boxes),
        "flagged": len(flagged),
        "flagged_as_recorded": _recorded(since),
        "status_changes": changes,
        "incidents": sum(one.phase is not Phase.CANDIDATE for one in board.incidents.values()),
    }


def _diagnose(reply: Reply) -> Diagnosis:
    return diagnose(reply)


def _well(found: Snapshot, since: datetime) -> Snapshot:
    legs = {leg: LegState(last_ok=since) for leg in found.legs}
    return replace(found, legs=legs, standing=Standing(Status.CONNECTED), credential_version=_ANY)


def _needs(standing: Standing) -> bool:
    is_open, reason = standing.auth_failure_open, standing.pause_reason
    return needs_reconnect(standing.status, auth_failure_open=is_open, pause_reason=reason)


def _recorded(since: datetime) -> int:
    rows = StatusChange.objects.filter(at__gte=since, to_status=Status.NEEDS_REAUTH)
    return rows.values("mailbox_id").distinct().count()


def _by_moment(mailbox_ids: list[int], since: datetime) -> Iterator[tuple[datetime, dict[int, list[Evidence]]]]:
    """What was seen, in order: failures as they were recorded, passes spread over their hour."""
    seen = sorted([*_failures(since), *_passes(mailbox_ids, since)], key=lambda one: one.observed_at)
    groups: dict[tuple[datetime, int], list[Evidence]] = defaultdict(list)
    for one in seen:
        groups[one.begun_at, one.mailbox_id].append(one)
    for (at, key), items in sorted(groups.items()):
        yield max(max(one.observed_at for one in items), at), {key: items}


def _failures(since: datetime) -> Iterator[Evidence]:
    for row in Failure.objects.filter(at__gte=since, ignored="").order_by("at").iterator(CHUNK):
        step = Step(Stage(row.stage), False, 0, row.code, row.text)
        source = Source(row.source)
        yield Evidence(row.mailbox_id, Leg(row.leg), source, _ANY, row.begun_at, row.at, step)


# The stored version does not matter here: each is compared with itself.
_ANY = 0


def _passes(mailbox_ids: list[int], since: datetime) -> Iterator[Evidence]:
    rows = CheckDay.objects.filter(mailbox_id__in=mailbox_ids, day__gte=since.date())
    for row in rows:
        midnight = datetime.combine(row.day, datetime.min.time(), UTC)
        for hour, legs in row.hours.items():
            for leg, (passed, *_rest) in legs.items():
                begins = midnight + timedelta(hours=int(hour))
                for number in range(passed):
                    at = begins + timedelta(hours=1) * (number + 0.5) / passed
                    if at >= since:
                        yield Evidence(row.mailbox_id, Leg(leg), Source.CHECK, _ANY, at, at)
