"""A received message as the rest of Postmend knows it. Whatever the bytes are, there is an answer (SPEC I1, K6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from mailboxes.inbox.addresses import is_mail_server, sender
from mailboxes.inbox.automatic import is_automatic
from mailboxes.inbox.bounces import Bounce, bounce_of
from mailboxes.inbox.complaints import Complaint, complaint_of
from mailboxes.inbox.decoding import header_text, one_line
from mailboxes.inbox.parts import READ_BYTES, Part, header, tree
from mailboxes.inbox.reading import text_of
from mailboxes.inbox.reports import first_id, ids, returned_mark

LINE_CHARS = 500
MOST_REFERENCES = 50
_YEARS = range(1980, 2101)


class Kind(StrEnum):
    """Who wrote a message: a person, a machine for a person, a mail server about a message of ours, or a provider about
    a recipient who called it spam."""

    MESSAGE = "message"
    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message read. Texts are "" where it does not say; `references` are oldest first."""

    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    from_address: str
    from_name: str
    reply_to: str
    to: str
    subject: str
    date: datetime | None
    text: str
    kind: Kind
    mark: str
    bounce: Bounce | None
    complaint: Complaint | None
    returned_mark: str
    identity: str

    @property
    def is_report(self) -> bool:
        """Whether a machine reports what became of a message of ours."""
        return self.kind in (Kind.BOUNCE, Kind.COMPLAINT)

    @property
    def reported(self) -> tuple[str, str]:
        """The Message-ID and the recipient that a report speaks of; "" where it does not say."""
        found = self.complaint or self.bounce
        return (found.original_message_id, found.recipient) if found else ("", "")


def parse(raw: bytes, size: int) -> Parsed:
    """Read a message of `size` bytes, of which `raw` is all or the first part."""
    message = tree(raw)
    text = text_of(message)
    bounce, complaint = bounce_of(message, text), complaint_of(message)
    from_name, from_address = sender(header(message, "From"))
    return Parsed(
        message_id=_message_id(header(message, "Message-ID")),
        in_reply_to=first_id(header(message, "In-Reply-To")),
        references=_references(header(message, "References")),
        from_address=from_address,
        from_name=from_name,
        reply_to=sender(header(message, "Reply-To"))[1],
        to=one_line(header_text(header(message, "To")), LINE_CHARS),
        subject=one_line(header_text(header(message, "Subject")), LINE_CHARS),
        date=_date(header(message, "Date")),
        text=text,
        kind=Kind.COMPLAINT if complaint else _kind(message, bounce),
        mark=" ".join(header(message, "X-Postmend").split())[:LINE_CHARS],
        bounce=bounce,
        complaint=complaint,
        returned_mark=returned_mark(message, text) if bounce or complaint else "",
        identity=_identity(message, raw, size),
    )


def _kind(message: Part, bounce: Bounce | None) -> Kind:
    if bounce:
        return Kind.BOUNCE
    from_server = is_mail_server(header(message, "From")) and not header(message, "In-Reply-To")
    return Kind.AUTO_REPLY if from_server or is_automatic(message) else Kind.MESSAGE


def _message_id(value: str) -> str:
    """Some programs leave out the angle brackets."""
    bare = one_line(value, LINE_CHARS + 1)
    return first_id(value) or (bare if "<" not in bare and len(bare) <= LINE_CHARS else "")


def _references(value: str) -> tuple[str, ...]:
    """Of too many the first stays, which is the beginning of the conversation, and the newest."""
    found = list(dict.fromkeys(ids(value)))
    return tuple(found if len(found) <= MOST_REFERENCES else [found[0], *found[1 - MOST_REFERENCES :]])


def _date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value[:100])
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.year in _YEARS else None


def _identity(message: Part, raw: bytes, size: int) -> str:
    """The same for the same message in another folder; folding does not count. Without a Message-ID it is the message
    itself that tells it from another of the same sender, time and subject."""
    values = [" ".join(header(message, name).split()) for name in ("Message-ID", "From", "Date", "Subject")]
    if not values[0]:
        whole = raw[:READ_BYTES].replace(b"\r\n", b"\n")
        values += [str(size), hashlib.sha256(whole).hexdigest()]
    return hashlib.sha256("\n".join(values).encode("utf-8", "replace")).hexdigest()
