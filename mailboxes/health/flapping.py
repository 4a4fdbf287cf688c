"""Mailboxes that come and go (SPEC H12): more than three changes of status in a day, and until six hours are quiet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Case, F, Q, Value, When

from mailboxes.health.thresholds import Thresholds
from mailboxes.models import Mailbox, StatusChange
from mailboxes.states import Source, Status

# A person or a new credential made it change; an incident is its provider's flapping.
ASKED_FOR = frozenset({Source.ASKED, Source.SAVE_TEST, Source.NEW_CREDENTIAL, Source.INCIDENT})
# So many of a mailbox's last changes are looked at, however many there are.
LOOKED_AT = 24


class Change(NamedTuple):
    """One change of status. `apart`: inside an incident, or asked for."""

    at: datetime
    to_status: str
    apart: bool


def is_flapping(changes: Sequence[Change], now: datetime, numbers: Thresholds) -> bool:
    """Return whether the changes of the last day are too many. `changes` are in their order.

    A way back to work belongs to the change before it: what was apart stays apart.
    """
    count, before_apart = 0, False
    for change in changes:
        apart = change.apart or (before_apart and change.to_status == Status.CONNECTED)
        count += not apart and change.at > now - numbers.flapping_window
        before_apart = apart
    return count > numbers.flapping_changes


def note(mailbox_ids: Collection[int], now: datetime, numbers: Thresholds) -> None:
    """Mark those of these just changed mailboxes that are flapping, inside the caller's transaction: two statements."""
    if not mailbox_ids:
        return
    rows = StatusChange.objects.filter(mailbox_id__in=mailbox_ids, number__gt=F("mailbox__state_version") - LOOKED_AT)
    by_mailbox: defaultdict[int, list[Change]] = defaultdict(list)
    for mailbox_id, at, status, apart in rows.order_by("number").values_list("mailbox_id", "at", "to_status", "apart"):
        by_mailbox[mailbox_id].append(Change(at, status, apart))
    found = [key for key, changes in by_mailbox.items() if is_flapping(changes, now, numbers)]
    # Whatever the reason of a change, the quiet hours of one that flaps already begin anew.
    flapping = Mailbox.objects.filter(Q(id__in=found) | Q(id__in=mailbox_ids, flapping_until__gt=now))
    since = Case(When(flapping_until__gt=now, then=F("flapping_since")), default=Value(now))
    flapping.update(flapping_since=since, flapping_until=now + numbers.flapping_ends_after)
