"""Direction and proof: whether we wrote a message ourselves, and whether a report is about ours (SPEC M1, M4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q

from mailboxes.inbox.parsing import Parsed
from mailboxes.models import Mailbox, OutMessage
from mailboxes.outbox import marks

# A report that proves nothing counts only where the address was written to so lately.
BELIEVED_FOR = timedelta(days=7)
_COLUMNS = ("id", "message_id", "thread", "purpose", "mailbox_id", "recipient", "state", "sent_at")


@dataclass(frozen=True, slots=True)
class House:
    """The workspaces of the mailboxes that mail arrived in, and which of its senders are mailboxes of a workspace."""

    workspace_of: Mapping[int, int]
    addresses: frozenset[tuple[int, str]]

    def is_ours(self, mailbox_id: int, address: str) -> bool:
        """Return whether the address is a mailbox of the workspace that this mailbox is in."""
        return (self.workspace_of.get(mailbox_id, 0), address) in self.addresses


def load_house(mailbox_ids: Iterable[int], addresses: Iterable[str]) -> House:
    """Load it, in one query."""
    ids = set(mailbox_ids)
    rows = Mailbox.objects.filter(Q(id__in=ids) | Q(address__in=set(addresses)))
    found = list(rows.values_list("id", "workspace_id", "address"))
    workspace_of = {key: workspace for key, workspace, _address in found if key in ids}
    return House(workspace_of, frozenset((workspace, address.lower()) for _key, workspace, address in found))


def load_sent(message_ids: Iterable[str]) -> dict[str, OutMessage]:
    """Return what we sent by Message-ID, each with its `workspace_id`, in one query."""
    rows = OutMessage.objects.filter(message_id__in=set(message_ids)).annotate(workspace_id=F("mailbox__workspace_id"))
    return {row.message_id: row for row in rows.only(*_COLUMNS)}


def load_last_sent(people: Iterable[str], mailbox_ids: Iterable[int], most: int) -> dict[tuple[int, str], OutMessage]:
    """Return the last campaign message of each of these mailboxes to each of these people, in one query."""
    wanted = set(people) - {""}
    if not wanted:
        return {}
    rows = OutMessage.objects.filter(recipient__in=wanted, mailbox_id__in=set(mailbox_ids), sent_at__isnull=False)
    found = rows.filter(purpose=OutMessage.Purpose.CAMPAIGN).order_by("-sent_at").only(*_COLUMNS)
    return {(row.mailbox_id, row.recipient): row for row in reversed(found[:most])}


def is_warmup(parsed: Parsed, address: str, itself: OutMessage | None) -> bool:
    """Return whether this is a warm-up message of ours to this address: known by its id and proved by its mark."""
    if itself is None or itself.purpose != OutMessage.Purpose.WARMUP:
        return False
    return marks.is_ours(parsed.mark, parsed.message_id, address)


def is_copy(parsed: Parsed, mailbox_id: int, address: str, itself: OutMessage | None, house: House) -> bool:
    """Return whether it is a copy of what we, or the mailbox's owner, sent. What another of our mailboxes sent to this
    one has come to its recipient and is none. A contact form that writes in the mailbox's own name tells by Reply-To
    who is asking: none either."""
    if parsed.is_report:
        return False
    if itself is not None and vars(itself)["workspace_id"] == house.workspace_of.get(mailbox_id):
        return itself.mailbox_id == mailbox_id or itself.recipient != address.lower()
    asks_for_another = parsed.reply_to not in ("", address.lower())
    return parsed.from_address == address.lower() and not asks_for_another


def is_proved(parsed: Parsed, marked: OutMessage | None) -> bool:
    """Return whether the mark that a report returns is ours, for the message that it names."""
    return marked is not None and marks.is_ours(parsed.returned_mark, marked.message_id, marked.recipient)


def is_recent(row: OutMessage, now: datetime) -> bool:
    """Return whether it was sent so lately that a report without proof may be about it."""
    return row.sent_at is not None and row.sent_at >= now - BELIEVED_FOR
