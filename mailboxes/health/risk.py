"""Too many bounces: the mailbox rests as a risk, which is no fault of its connection (SPEC H1, K6)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Count, F, Q

from mailboxes.models import CheckState, Mailbox, OutMessage

LEAST_SENT = 50
MOST_BOUNCED = 0.05
COUNTED_FOR = timedelta(days=7)
REST = timedelta(hours=24)


def assess(mailbox_ids: Collection[int], now: datetime) -> set[int]:
    """Rest those of which more than 5 % bounced, of 50 campaign messages or more in a week, or since their last rest.

    Only connected ones are assessed: connection comes first. Returns those that rest from now on.
    """
    list(CheckState.objects.select_for_update().filter(mailbox_id__in=mailbox_ids).order_by("mailbox_id"))
    connected = Mailbox.objects.working().filter(id__in=mailbox_ids)
    rested = dict(connected.values_list("id", "risk_until"))
    resting = set()
    for mailbox_id, sent, bounced in _counts(rested, now):
        if sent >= LEAST_SENT and bounced / sent > MOST_BOUNCED and _is_over(rested[mailbox_id], now):
            reason = f"{bounced} of {sent} messages bounced: more than {MOST_BOUNCED:.0%}."
            Mailbox.objects.filter(pk=mailbox_id).update(risk_until=now + REST, risk_reason=reason)
            resting.add(mailbox_id)
    return resting


def reconsider(mailbox_ids: Collection[int], since: datetime, now: datetime) -> None:
    """End the rest of those that began it after `since`, where too few bounces are left to be a risk."""
    resting = Mailbox.objects.filter(id__in=mailbox_ids, risk_until__gt=since + REST)
    rows = OutMessage.objects.filter(
        mailbox_id__in=resting, purpose=OutMessage.Purpose.CAMPAIGN, sent_at__gte=now - COUNTED_FOR
    )
    counted = rows.order_by().values("mailbox_id").annotate(sent=Count("id"), bounced=Count("bounced_at"))
    well = [row["mailbox_id"] for row in counted if row["bounced"] <= MOST_BOUNCED * row["sent"]]
    Mailbox.objects.filter(id__in=well).update(risk_until=None, risk_reason="")


def _is_over(until: datetime | None, now: datetime) -> bool:
    return until is None or until <= now


def _counts(mailbox_ids: Collection[int], now: datetime) -> list[tuple[int, int, int]]:
    since_rest = Q(mailbox__risk_until__isnull=True) | Q(sent_at__gte=F("mailbox__risk_until"))
    rows = OutMessage.objects.filter(
        since_rest, mailbox_id__in=mailbox_ids, purpose=OutMessage.Purpose.CAMPAIGN, sent_at__gte=now - COUNTED_FOR
    )
    counted = rows.order_by().values("mailbox_id").annotate(sent=Count("id"), bounced=Count("bounced_at"))
    return list(counted.values_list("mailbox_id", "sent", "bounced"))
