"""Claims: who may send a message now, tested in the statement that claims it, and once more before MAIL FROM."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from mailboxes.models import Mailbox, OutMessage, Pace

State = OutMessage.State
# Longer than any batch may take: two deadlines, and the seconds in which it takes more.
LEASE = timedelta(minutes=3)
GIVEN_BACK_FOR = timedelta(minutes=1)


def may_go(now: datetime) -> Q:
    """What may be sent at this moment: its mailbox may send, and warm-up mail goes to mailboxes that work alone."""
    # EXISTS by the key: "in (select ...)" has PostgreSQL read all mailboxes.
    can_send = Exists(Mailbox.objects.can_send(now).filter(pk=OuterRef("mailbox")))
    to_peer = Q(peer__isnull=True) | Q(Exists(Mailbox.objects.working().filter(pk=OuterRef("peer"))))
    return Q(can_send, withdrawn=False) & to_peer


def waiting(now: datetime) -> QuerySet[OutMessage]:
    """Due messages whose mailbox may send now and has nothing else under way."""
    return OutMessage.objects.filter(may_go(now), _alone(), state=State.QUEUED, due_at__lte=now)


def _alone() -> Q:
    """Nothing else of the mailbox is under way."""
    others = OutMessage.objects.filter(mailbox=OuterRef("mailbox"), state__in=(State.CLAIMED, State.ON_WIRE))
    return Q(~Exists(others))


@transaction.atomic
def claim(limit: int, now: datetime) -> tuple[str, list[OutMessage]]:
    """Lease up to `limit` due messages, one of a mailbox. Returns the lease and the rows, with their mailboxes."""
    lease = str(uuid.uuid4())
    found = waiting(now).select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "id")
    first: dict[int, int] = {}
    for row_id, mailbox_id in found.values_list("id", "mailbox_id")[:limit]:
        first.setdefault(mailbox_id, row_id)
    # Who holds its pace claims for the mailbox: two workers never claim for one at once.
    paces = Pace.objects.select_for_update(skip_locked=True).filter(mailbox_id__in=first).order_by("mailbox_id")
    ids = [first[key] for key in paces.values_list("mailbox_id", flat=True)]
    fit = OutMessage.objects.filter(may_go(now), _alone(), id__in=ids, state=State.QUEUED)
    fit.update(state=State.CLAIMED, lease=lease, lease_until=now + LEASE, attempts=F("attempts") + 1)
    return lease, list(OutMessage.objects.filter(lease=lease, id__in=ids).select_related("mailbox"))


@transaction.atomic
def hand_over(ids: Collection[int], lease: str, now: datetime) -> set[int]:
    """Mark the claimed ones as on the wire whose mailbox may still send, and which nobody took back. From here on a
    message counts as possibly sent."""
    still = OutMessage.objects.filter(id__in=ids, lease=lease, state=State.CLAIMED)
    list(still.select_for_update().order_by("id").values_list("id"))  # in the order of `queue.cancel`
    still.filter(may_go(now), lease_until__gt=now).update(state=State.ON_WIRE, on_wire_at=now)
    handed = OutMessage.objects.filter(id__in=ids, lease=lease, state=State.ON_WIRE)
    return set(handed.values_list("id", flat=True))


def recover(now: datetime) -> None:
    """What a killed sender left."""
    _release(abandoned(now))


def abandoned(now: datetime) -> QuerySet[OutMessage]:
    """Claimed, and their lease has run out."""
    return OutMessage.objects.filter(state__in=(State.CLAIMED, State.ON_WIRE), lease_until__lte=now)


def give_back(lease: str, now: datetime) -> None:
    """What a batch could not bring to an end: no credential, a grant that another worker renews, our own fault."""
    OutMessage.objects.filter(lease=lease, state=State.CLAIMED).update(due_at=now + GIVEN_BACK_FOR)
    _release(OutMessage.objects.filter(lease=lease))


def _release(left: QuerySet[OutMessage]) -> None:
    """What was not handed over goes back; of what was, nobody knows."""
    left.filter(state=State.CLAIMED).update(state=State.QUEUED, lease="", lease_until=None, attempts=F("attempts") - 1)
    left.filter(state=State.ON_WIRE).update(state=State.UNKNOWN, lease="", lease_until=None)
