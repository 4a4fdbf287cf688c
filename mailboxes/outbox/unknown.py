"""Messages of which nobody knows whether they were sent: looked up in Sent before anything else (SPEC K4, FACTS E7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from mailboxes.models import AuditEntry, OutMessage
from mailboxes.outbox import queue
from mailboxes.outbox.claim import State

# A provider files its copy at once; a slow one gets this long.
FILED_WITHIN = timedelta(minutes=10)
NEVER_KNOWN = "It was never known whether this message was sent."


def sought(mailbox_ids: Iterable[int]) -> dict[int, list[str]]:
    """The unknown ones' Message-IDs, by mailbox."""
    rows = OutMessage.objects.filter(mailbox_id__in=mailbox_ids, state=State.UNKNOWN)
    found: dict[int, list[str]] = {}
    for mailbox_id, message_id in rows.order_by("on_wire_at").values_list("mailbox_id", "message_id"):
        found.setdefault(mailbox_id, []).append(message_id)
    return found


def prove(message_ids: Collection[str]) -> None:
    """These have been seen in Sent, at their recipient, or in an answer: they were sent."""
    rows = OutMessage.objects.filter(message_id__in=message_ids, state=State.UNKNOWN)
    rows.update(state=State.SENT, sent_at=F("on_wire_at"))


def missing(message_ids: Collection[str], now: datetime) -> None:
    """These are not in the Sent folder of a provider that files what it takes: after a while, they were not sent."""
    rows = OutMessage.objects.filter(message_id__in=message_ids, state=State.UNKNOWN)
    lost = list(rows.filter(on_wire_at__lte=now - FILED_WITHIN).values_list("id", flat=True))
    rows.filter(id__in=lost).update(state=State.QUEUED, due_at=now)
    queue.drop_withdrawn(lost)


def give_up(now: datetime) -> int:
    """Those of which nobody knew in all the time that mail is kept are given up: their senders take note, and they are
    pruned like the others. Returns how many."""
    kept = now - timedelta(days=settings.KEEP_MAIL_DAYS)
    rows = OutMessage.objects.filter(state=State.UNKNOWN, created_at__lt=kept)
    return rows.update(state=State.EXPIRED, text=NEVER_KNOWN)


def decide(row: OutMessage, *, sent: bool, acting_user_id: int, now: datetime) -> bool:
    """A member of staff has looked. False where it is known by now."""
    values = {"state": State.SENT, "sent_at": row.on_wire_at} if sent else {"state": State.QUEUED, "due_at": now}
    changed = OutMessage.objects.filter(pk=row.pk, state=State.UNKNOWN).update(**values)
    queue.drop_withdrawn([row.pk])
    if changed:
        action = "unknown message taken as sent" if sent else "unknown message sent again"
        AuditEntry.objects.create(
            actor_id=acting_user_id, action=action, mailbox_id=row.mailbox_id, at=now, detail=row.message_id[:200]
        )
    return bool(changed)
