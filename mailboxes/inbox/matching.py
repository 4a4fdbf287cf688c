"""Arrivals as rows: what each answers, which conversation it belongs to, and who has to take note of it.

By In-Reply-To and References to what we sent; a person who answers with a new message is known by their address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mailboxes.inbox.bounces import Outcome
from mailboxes.inbox.parsing import Kind, Parsed
from mailboxes.inbox.proof import (
    House,
    is_copy,
    is_proved,
    is_recent,
    is_warmup,
    load_house,
    load_last_sent,
    load_sent,
)
from mailboxes.models import InMessage, OutMessage
from mailboxes.outbox import marks, unknown
from mailboxes.wire.visits import Fetched, Role

FIRST_ARRIVAL = datetime(1990, 1, 1, tzinfo=UTC)  # no mail is older that a mailbox of today receives
LATEST_ARRIVAL = timedelta(days=2)  # from now on: zones and clocks are at most so far apart
MOST_REFERENCES = 20
MOST_SENT = 1000
THREAD_CHARS = 500
ADDRESS_CHARS = 254
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
        ids = [parsed.reported[0], parsed.in_reply_to, *reversed(parsed.references[-MOST_REFERENCES:])]
        return [one for one in ids if one]

    @property
    def ids(self) -> list[str]:
        """Every Message-ID by which it may be known."""
        parsed = self.parsed
        return [*self.points_to, parsed.message_id, marks.named(parsed.returned_mark)]

    @property
    def person(self) -> str:
        """Whom it is about, or from."""
        return self.parsed.reported[1] if self.parsed.is_report else self.parsed.from_address


@dataclass(frozen=True, slots=True)
class _Match:
    """What an arrival is, what of ours it answers, and whether that is proved."""

    kind: InMessage.Kind
    out: OutMessage | None = None
    proved: bool = False


def rows_of(arrivals: Sequence[Arrival], now: datetime) -> list[InMessage]:
    """A row for each, not stored yet. Three queries, whatever their number; what they prove to be sent is settled."""
    if not arrivals:
        return []
    sent = load_sent(key for one in arrivals for key in one.ids)
    senders = [address for one in arrivals for address in (one.parsed.from_address, one.parsed.reply_to) if address]
    house = load_house((one.mailbox_id for one in arrivals), senders)
    matches = [_match(one, sent, house) for one in arrivals]
    strangers = [one for one, match in zip(arrivals, matches, strict=True) if _is_open(match)]
    by_person = load_last_sent((one.person for one in strangers), (one.mailbox_id for one in strangers), MOST_SENT)
    rows = []
    for one, match in zip(arrivals, matches, strict=True):
        out = _by_person(one, by_person, now) if _is_open(match) else match.out
        rows.append(_row(one, replace(match, out=out), house, now))
    proved = [row.message_id for row in sent.values() if row.state == OutMessage.State.UNKNOWN]
    if proved:
        unknown.prove(proved)
    return rows


def _match(one: Arrival, sent: Mapping[str, OutMessage], house: House) -> _Match:
    """Direction is looked at first (SPEC M1): what we sent is never an answer."""
    parsed, itself = one.parsed, sent.get(one.parsed.message_id)
    answered = _answered(one, sent)
    if is_warmup(parsed, one.address, itself):
        return _Match(InMessage.Kind.WARMUP, answered)
    if is_copy(parsed, one.mailbox_id, one.address, itself, house):
        return _Match(InMessage.Kind.OWN)
    kind = InMessage.Kind(parsed.kind.value)
    if parsed.is_report:
        marked = _mine(one, sent.get(marks.named(parsed.returned_mark)))
        out = marked if is_proved(parsed, marked) else answered
        return _Match(kind, out, proved=out is not None)
    ours = house.is_ours(one.mailbox_id, parsed.from_address)
    is_colleague = ours and answered is not None and answered.recipient != parsed.from_address
    return _Match(kind, None if is_colleague else answered)


def _answered(one: Arrival, sent: Mapping[str, OutMessage]) -> OutMessage | None:
    """The latest of ours that it points to; of this mailbox alone, since Message-IDs can be made up."""
    return next(filter(None, (_mine(one, sent.get(key)) for key in one.points_to)), None)


def _mine(one: Arrival, row: OutMessage | None) -> OutMessage | None:
    return row if row is not None and row.mailbox_id == one.mailbox_id else None


def _is_open(match: _Match) -> bool:
    """Whether the person may tell what the ids do not."""
    return match.out is None and match.kind not in (InMessage.Kind.OWN, InMessage.Kind.WARMUP)


def _by_person(one: Arrival, by_person: Mapping[tuple[int, str], OutMessage], now: datetime) -> OutMessage | None:
    """The last that the person was sent: for a report that proves nothing, where that was lately (SPEC M4)."""
    out = by_person.get((one.mailbox_id, one.person))
    return None if out is not None and one.parsed.is_report and not is_recent(out, now) else out


def _row(one: Arrival, match: _Match, house: House, now: datetime) -> InMessage:
    parsed, bounce, out = one.parsed, one.parsed.bounce, match.out
    purpose = OutMessage.Purpose.WARMUP if match.kind == InMessage.Kind.WARMUP else (out.purpose if out else "")
    return InMessage(
        mailbox_id=one.mailbox_id,
        identity=parsed.identity,
        kind=match.kind,
        role=one.role,
        uid=one.fetched.uid,
        message_id=parsed.message_id[:500],
        references=" ".join(parsed.references),
        thread=_thread(parsed, out),
        from_address=parsed.from_address[:254],
        from_name=parsed.from_name,
        reply_to=_reply_to(one, house),
        subject=parsed.subject,
        text=parsed.text,
        arrived_at=_arrival(one.fetched.arrived_at or parsed.date or now, now),
        stored_at=now,
        size=min(one.fetched.size, LARGEST),
        seen=one.fetched.seen,
        answers=out,
        proved=match.proved,
        bounce_outcome=bounce.outcome if bounce else "",
        bounce_status=bounce.status[:12] if bounce else "",
        bounce_text=bounce.diagnostic if bounce else "",
        waits_for=purpose if purpose in _TAKEN else "",
    )


def _arrival(told: datetime, now: datetime) -> datetime:
    """A time that a server or a sender told; now, where it cannot be one."""
    return told if FIRST_ARRIVAL <= told <= now + LATEST_ARRIVAL else now


def _reply_to(one: Arrival, house: House) -> str:
    """Where an answer goes, if not to the sender (RFC 5322 3.6.2): an address, and none of ours."""
    address = one.parsed.reply_to
    if address in ("", one.parsed.from_address, one.address.lower()) or house.is_ours(one.mailbox_id, address):
        return ""
    return address if len(address) <= ADDRESS_CHARS else ""


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
