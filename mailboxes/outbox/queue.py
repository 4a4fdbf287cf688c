"""Put messages into the queue, and take back those that are not on their way yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from mailboxes.models import Mailbox, OutMessage
from mailboxes.outbox.letters import letter, new_message_id
from mailboxes.outbox.marks import HEADER, mark
from mailboxes.wire.letters import refuse_letter

State = OutMessage.State
SUBJECT_CHARS = 500


@dataclass(frozen=True, slots=True)
class Draft:
    """One message to be sent. `follows` are the Message-IDs of its conversation, the oldest first."""

    mailbox: Mailbox
    purpose: str
    recipient: str
    subject: str
    body: str
    due_at: datetime
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    follows: tuple[str, ...] = ()
    message_id: str = ""
    peer: Mailbox | None = None


def fault(draft: Draft, now: datetime) -> str:
    """Why no server would take this draft, or ""."""
    try:
        row = _row(draft, now)
        refuse_letter(letter(row))
    except ValueError as error:
        return f"No message can be made: {error}"[:500]
    return ""


def sender_fault(mailbox: Mailbox) -> str:
    """Why no server would take anything from this mailbox's address, or ""."""
    return fault(Draft(mailbox, OutMessage.Purpose.REPLY, "a@example.com", "", "", timezone.now()), timezone.now())


def put(drafts: Sequence[Draft], now: datetime) -> list[OutMessage]:
    """Queue the drafts, in their order, in one statement. Raises ValueError for one that no server would take, since
    it would come back for ever: an address that is none, a line break in a header."""
    rows = [_row(draft, now) for draft in drafts]
    for row in rows:
        refuse_letter(letter(row))
    return OutMessage.objects.bulk_create(rows)


def _row(draft: Draft, now: datetime) -> OutMessage:
    message_id = draft.message_id or new_message_id(draft.mailbox.address)
    return OutMessage(
        mailbox=draft.mailbox,
        peer=draft.peer,
        purpose=draft.purpose,
        recipient=draft.recipient.lower(),
        subject=draft.subject[:SUBJECT_CHARS],
        body=draft.body,
        html=draft.html,
        headers={**draft.headers, HEADER: mark(message_id, draft.recipient)},
        message_id=message_id,
        in_reply_to=draft.follows[-1] if draft.follows else "",
        references=" ".join(draft.follows),
        thread=draft.follows[0] if draft.follows else message_id,
        created_at=now,
        due_at=draft.due_at,
    )


def cancel(ids: Iterable[int]) -> set[int]:
    """Take these back. Returns those that have not been handed to a server; of the others it is noted, so that none of
    them goes out once more should its server not have taken it."""
    wanted = sorted(ids)
    rows = OutMessage.objects.filter(id__in=wanted)
    list(rows.select_for_update().order_by("id").values_list("id"))  # one order for all: else two would deadlock
    rows.update(withdrawn=True)
    drop_withdrawn(wanted)
    return set(rows.filter(state=State.CANCELLED).values_list("id", flat=True))


def drop_withdrawn(ids: Iterable[int]) -> None:
    """Of these messages, those that were taken back and wait again: they do not go out."""
    rows = OutMessage.objects.filter(id__in=list(ids), withdrawn=True, state__in=(State.QUEUED, State.CLAIMED))
    rows.update(state=State.CANCELLED, lease="", lease_until=None)
