"""Arrivals as rows: what each answers, which conversation it belongs to, and who has to take note of it.

By In-Reply-To and References to what we sent; a person who answers with a new message is known by their address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mailboxes.inbox.bounces import Outcome
from mailboxes.inbox.parsing import Kind, Parsed
from mailboxes.models import InMessage, OutMessage
from mailboxes.outbox import marks, unknown
from mailboxes.wire.visits import Fetched, Role

MOST_REFERENCES = 20
MOST_SENT = 1000
THREAD_CHARS = 500
LARGEST = 2_147_483_647  # what the column holds; a server may say anything


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it was found in a mailbox."""

    mailbox_id: int
    address: str
    role: Role
    fetched: Fetched
    parsed: Parsed

    @property
    def points_to(self) -> list[str]:
        """Message-IDs that it may answer, the likeliest first: what bounced, what is replied to, what went before."""
        parsed = self.parsed
        bounced = [parsed.bounce.original_message_id] if parsed.bounce else []
        ids = [*bounced, parsed.in_reply_to, *reversed(parsed.references[-MOST_REFERENCES:])]
        return [one for one in ids if one]


def rows_of(arrivals: Sequence[Arrival], now: datetime) -> list[InMessage]:
    """A row for each, not stored yet. Two queries, whatever their number; what they prove to be sent is settled."""
    if not arrivals:
        return []
    sent = _sent([key for one in arrivals for key in [*one.points_to, one.parsed.message_id]])
    answered = {(one.mailbox_id, one.parsed.identity): _answered(one, sent) for one in arrivals}
    strangers = [one for one in arrivals if not answered[one.mailbox_id, one.parsed.identity]]
    by_address = _last_to(strangers)
    rows = []
    for one in arrivals:
        out = answered[one.mailbox_id, one.parsed.identity] or by_address.get((one.mailbox_id, _person(one)))
        rows.append(_row(one, out, sent.get(one.parsed.message_id), now))
    proved = [row.message_id for row in sent.values() if row.state == OutMessage.State.UNKNOWN]
    if proved:
        unknown.prove(proved)
    return rows


def _sent(message_ids: Sequence[str]) -> dict[str, OutMessage]:
    rows = OutMessage.objects.filter(message_id__in=set(message_ids)).only(
        "id", "message_id", "thread", "purpose", "mailbox_id", "recipient", "state"
    )
    return {row.message_id: row for row in rows}


def _answered(one: Arrival, sent: dict[str, OutMessage]) -> OutMessage | None:
    """The latest of ours that it points to; of this mailbox alone, since Message-IDs can be made up."""
    mine = (sent[key] for key in one.points_to if key in sent)
    return next((row for row in mine if row.mailbox_id == one.mailbox_id), None)


def _person(one: Arrival) -> str:
    bounce = one.parsed.bounce
    return bounce.recipient if bounce else one.parsed.from_address


def _last_to(strangers: Sequence[Arrival]) -> dict[tuple[int, str], OutMessage]:
    """The last campaign message from the mailbox to the person who wrote, where there was one."""
    people = {_person(one) for one in strangers} - {""}
    mailboxes = {one.mailbox_id for one in strangers}
    rows = OutMessage.objects.filter(
        recipient__in=people, mailbox_id__in=mailboxes, purpose=OutMessage.Purpose.CAMPAIGN, sent_at__isnull=False
    )
    found = rows.order_by("-sent_at").only("id", "message_id", "thread", "purpose", "mailbox_id", "recipient", "state")
    return {(row.mailbox_id, row.recipient): row for row in reversed(found[:MOST_SENT])} if people else {}


def _row(one: Arrival, out: OutMessage | None, itself: OutMessage | None, now: datetime) -> InMessage:
    parsed, bounce = one.parsed, one.parsed.bounce
    warm = itself is not None and marks.is_ours(parsed.mark, parsed.message_id, one.address)
    kind = InMessage.Kind.WARMUP if warm else InMessage.Kind(parsed.kind.value)
    purpose = OutMessage.Purpose.WARMUP if warm else (out.purpose if out else "")
    return InMessage(
        mailbox_id=one.mailbox_id,
        identity=parsed.identity,
        kind=kind,
        role=one.role,
        uid=one.fetched.uid,
        message_id=parsed.message_id[:500],
        references=" ".join(parsed.references),
        thread=_thread(parsed, out),
        from_address=parsed.from_address[:254],
        from_name=parsed.from_name,
        subject=parsed.subject,
        text=parsed.text,
        arrived_at=one.fetched.arrived_at or parsed.date or now,
        stored_at=now,
        size=min(one.fetched.size, LARGEST),
        seen=one.fetched.seen,
        answers=out,
        bounce_outcome=bounce.outcome if bounce else "",
        bounce_status=bounce.status[:12] if bounce else "",
        bounce_text=bounce.diagnostic if bounce else "",
        waits_for=purpose if purpose in _TAKEN else "",
    )


# What a person wrote by hand is taken note of by nobody but people.
_TAKEN = (OutMessage.Purpose.CAMPAIGN, OutMessage.Purpose.WARMUP)


def _thread(parsed: Parsed, out: OutMessage | None) -> str:
    if out is not None:
        return out.thread
    begun = parsed.references[0] if parsed.references else parsed.in_reply_to or parsed.message_id or parsed.identity
    return begun[:THREAD_CHARS]


def is_final(row: InMessage) -> bool:
    """True for a bounce that ends it: failed, and not for the time being (RFC 3463's class 4)."""
    failed = row.kind == Kind.BOUNCE and row.bounce_outcome == Outcome.FAILED
    return failed and not row.bounce_status.startswith("4")


def is_address_fault(row: InMessage) -> bool:
    """True where the address itself is at fault (5.1.x), and not a full mailbox or a policy (FACTS E11)."""
    return is_final(row) and row.bounce_status.startswith("5.1.")
