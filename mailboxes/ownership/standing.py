"""What people are told of addresses that are not confirmed (SPEC C10)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from mailboxes.models import AddressConfirmation, Mailbox

CONFIRM = "Confirm this address"


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """How far the confirmation of one address has come. `works_until` is the end of its grace, if that is to come."""

    works_until: datetime | None = None
    sent_at: datetime | None = None
    is_waiting: bool = True
    error: str = ""

    @property
    def label(self) -> str:
        """The reason beside the badge."""
        return f"{CONFIRM}: by {self.works_until:%-d %B}" if self.works_until else CONFIRM


def load_unconfirmed(mailbox_ids: Collection[int], now: datetime) -> dict[int, Unconfirmed]:
    """Return those of these mailboxes whose present address is not confirmed, in two queries."""
    rows = AddressConfirmation.objects.filter(mailbox__in=mailbox_ids, address=F("mailbox__address"))
    known = {row.mailbox_id: row for row in rows}
    present = Mailbox.objects.present().filter(pk__in=mailbox_ids).values_list("pk", flat=True)
    found = {key: known.get(key) for key in present}
    return {key: _standing(row, now) for key, row in found.items() if row is None or row.confirmed_at is None}


def unconfirmed(mailbox: Mailbox, now: datetime) -> Unconfirmed | None:
    """Return how far the confirmation of its address has come; None where it is confirmed."""
    return load_unconfirmed([mailbox.pk], now).get(mailbox.pk)


def _standing(row: AddressConfirmation | None, now: datetime) -> Unconfirmed:
    if row is None:
        return Unconfirmed(is_waiting=False)
    works_until = row.grace_until if row.grace_until is not None and row.grace_until > now else None
    return Unconfirmed(works_until, row.sent_at, row.send_at is not None, row.send_error)
