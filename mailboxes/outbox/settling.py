"""What becomes of a message by its delivery. Pure but for the one statement that writes it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mailboxes.diagnosis.categories import Course
from mailboxes.diagnosis.values import Diagnosis
from mailboxes.models import OutMessage
from mailboxes.models.sets import WAS, update_rows
from mailboxes.outbox import queue, tempo
from mailboxes.wire.letters import Delivery, Fate
from mailboxes.wire.values import Stage

State = OutMessage.State
# FACTS E5: soon at first, then hourly until a day has passed.
AGAIN_AFTER = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60))
JITTER = 0.2
# Before a recipient was named, no refusal is about this message.
_NAMED = (Stage.RCPT, Stage.DATA)
MOST_ATTEMPTS = 27  # a day of them
MOST_RIDDLES = 5  # a reply that nobody can read takes the mailbox out of work each time
# What the mailbox's state holds back from now on; it needs no waiting of its own.
HELD_BY_HEALTH = frozenset({Course.REFUSAL, Course.SETTINGS, Course.RESTING, Course.THROTTLED})
# A fault of our own moves no mailbox: it would be claimed again at once.
OURS_AGAIN_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Settled:
    """A message's new state, when it is due again, whether the attempt counts, and the server's words."""

    state: str
    due_at: datetime | None = None
    counts: bool = True
    text: str = ""


def settle(row: OutMessage, delivery: Delivery, diagnosis: Diagnosis | None, now: datetime) -> Settled:
    """Decide. `diagnosis` is of the failed step, where there is one."""
    text = delivery.report.failed.text if delivery.report.failed else ""
    if delivery.fate is Fate.SENT:
        return Settled(State.SENT)
    if delivery.fate is Fate.UNKNOWN:
        return Settled(State.UNKNOWN, text=text)
    if delivery.fate is Fate.UNFIT:
        return Settled(State.REFUSED, text=delivery.unfit)
    if delivery.fate is Fate.STOPPED or diagnosis is None:
        return Settled(State.QUEUED, row.due_at, counts=False)
    return _refused(row, delivery, diagnosis, text, now)


def _refused(row: OutMessage, delivery: Delivery, diagnosis: Diagnosis, text: str, now: datetime) -> Settled:
    step = delivery.report.failed
    assert step is not None
    if diagnosis.course in HELD_BY_HEALTH:
        return Settled(State.QUEUED, now, counts=False, text=text)
    if diagnosis.course is Course.OURS:
        return Settled(State.QUEUED, now + OURS_AGAIN_AFTER, counts=False, text=text)
    if diagnosis.course is Course.IGNORED and step.stage in _NAMED and step.code.startswith("5"):
        return Settled(State.REFUSED, text=text)
    if row.attempts >= (MOST_RIDDLES if diagnosis.course is Course.UNSURE else MOST_ATTEMPTS):
        return Settled(State.EXPIRED, text=text)
    return Settled(State.QUEUED, now + again_after(row.attempts), text=text)


def again_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts, with jitter."""
    wait = AGAIN_AFTER[min(attempts, len(AGAIN_AFTER)) - 1]
    return tempo.lasting(wait * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret


def write(settled: Sequence[tuple[OutMessage, Settled]], now: datetime) -> None:
    """Write all of them where they are still as their sender holds them, in one statement."""
    written = update_rows(OutMessage, [_values(row, end, now) for row, end in settled], expect=("lease",))
    queue.drop_withdrawn(written)


def _values(row: OutMessage, end: Settled, now: datetime) -> Mapping[str, Any]:
    return {
        "pk": row.pk,
        WAS + "lease": row.lease,
        "state": str(end.state),
        "due_at": end.due_at or row.due_at,
        "attempts": row.attempts if end.counts else row.attempts - 1,
        "lease": "",
        "lease_until": None,
        "sent_at": now if end.state == State.SENT else None,
        "text": end.text,
    }
