"""Store what visits brought: messages, cursors, and what was learned, in the caller's transaction (SPEC I1).

A constant number of statements for any number of visits. Storing the same visit twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailboxes.health.check import Checked
from mailboxes.inbox import due, plugs, unread
from mailboxes.inbox.matching import Arrival, rows_of
from mailboxes.inbox.parsing import parse
from mailboxes.inbox.plans import Plan
from mailboxes.models import FolderCursor, InboxState, InMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import unknown
from mailboxes.ownership.confirming import ReadMail, confirm_read
from mailboxes.wire.visits import Cursor, FolderRead, Role, Visit

Finish = Callable[[Sequence[Checked[Visit]], datetime], None]


@dataclass(frozen=True, slots=True)
class Brought:
    """One visit, the plan that it followed, and when it began."""

    mailbox_id: int
    address: str
    plan: Plan
    visit: Visit
    begun_at: datetime


def store(brought: Sequence[Brought], now: datetime) -> None:
    """Inside the caller's transaction. A folder whose cursor somebody else has moved meanwhile is left out: it was read
    by them, or is read again."""
    states = {
        state.mailbox_id: state
        for state in InboxState.objects.select_for_update()
        .filter(mailbox_id__in=[one.mailbox_id for one in brought])
        .order_by("mailbox_id")
    }
    present = [one for one in brought if one.mailbox_id in states]
    reads = _unmoved(present)
    arrivals = [
        Arrival(one.mailbox_id, one.address, read.before.role, message, parse(message.raw, message.size))
        for one, read in reads
        for message in read.messages
    ]
    InMessage.objects.bulk_create(rows_of(_without_codes(arrivals, now), now), ignore_conflicts=True)
    unread.record(((one.mailbox_id, read) for one, read in reads), now)
    _move_cursors(reads, now)
    _settle_deeds(present)
    _settle_unknown(present, states, now)
    _write_states(present, states, now)


def _without_codes(arrivals: Sequence[Arrival], now: datetime) -> list[Arrival]:
    """All but the codes by which an address was confirmed just now (SPEC C10). What lies in Sent has not arrived."""
    mails = {at: ReadMail(one.mailbox_id, one.parsed.mark, one.parsed.text) for at, one in enumerate(arrivals)}
    used = confirm_read([mail for at, mail in mails.items() if arrivals[at].role in (Role.INBOX, Role.JUNK)], now)
    return [one for at, one in enumerate(arrivals) if mails[at].key not in used]


def _unmoved(brought: Sequence[Brought]) -> list[tuple[Brought, FolderRead]]:
    ids = [one.mailbox_id for one in brought]
    rows = FolderCursor.objects.filter(mailbox_id__in=ids).values_list(
        "mailbox_id", "folder", "uidvalidity", "last_uid"
    )
    stand = {(key, folder): (validity, last) for key, folder, validity, last in rows}
    reads = [(one, read) for one in brought for read in one.visit.folders]
    return [
        (one, read)
        for one, read in reads
        if stand.get((one.mailbox_id, read.before.folder), (0, 0)) == _at(read.before)
    ]


def _at(cursor: Cursor) -> tuple[int, int]:
    return cursor.uidvalidity, cursor.last_uid


def _move_cursors(reads: Iterable[tuple[Brought, FolderRead]], now: datetime) -> None:
    rows = [
        FolderCursor(
            mailbox_id=one.mailbox_id,
            role=read.before.role,
            folder=read.before.folder,
            uidvalidity=read.uidvalidity,
            last_uid=read.last_uid,
            read_at=now,
        )
        for one, read in reads
    ]
    FolderCursor.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["mailbox", "folder"],
        update_fields=["role", "uidvalidity", "last_uid", "read_at"],
    )


def _settle_deeds(brought: Sequence[Brought]) -> None:
    done = [key for one in brought for key in one.visit.done]
    if done:
        InMessage.objects.filter(id__in=done).update(deed="")


def _settle_unknown(brought: Sequence[Brought], states: dict[int, InboxState], now: datetime) -> None:
    """What was found in Sent was sent. What is not there was not, where the provider is known to file what it takes."""
    found = [message_id for one in brought for message_id in one.visit.found or ()]
    if found:
        unknown.prove(found)
    looked = [one for one in brought if one.visit.found is not None and states[one.mailbox_id].saves_sent]
    absent = [key for one in looked for key in one.plan.visit.sought if key not in (one.visit.found or ())]
    if absent:
        unknown.missing(absent, now)


def _write_states(brought: Sequence[Brought], states: dict[int, InboxState], now: datetime) -> None:
    keen = plugs.keen([one.mailbox_id for one in brought])
    for one in brought:
        state = states[one.mailbox_id]
        watched = state.watched_until is not None and state.watched_until > now
        state.next_read_at = due.next_after(
            now,
            at_once=one.visit.goes_on,
            keen=watched or one.mailbox_id in keen,
            hindered=any(folder.unread for folder in one.visit.folders),
        )
        state.complete_at = one.begun_at if one.visit.complete else state.complete_at
        if one.plan.visit.places is None and one.visit.report.ok:
            state.places, state.places_at = {role.value: name for role, name in one.visit.places.items()}, now
        if one.plan.probe and one.visit.report.ok:
            state.saves_sent = one.plan.probe in (one.visit.found or ())
    update_rows(InboxState, [_columns(states[one.mailbox_id]) for one in brought])


def _columns(state: InboxState) -> dict[str, object]:
    names = ("next_read_at", "complete_at", "places", "places_at", "saves_sent")
    return {"pk": state.pk} | {name: getattr(state, name) for name in names}
