"""What campaigns do with mail (`mailboxes.inbox.plugs`)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from campaigns import taking
from campaigns.changes import finish
from campaigns.choosing import choose, is_waiting
from campaigns.models import Campaign


def take(now: datetime) -> int:
    """Take note of what arrived and of what became of messages; campaigns that are done are finished."""
    taken = taking.take(now)
    finish(now)
    return taken


def keen(mailbox_ids: Collection[int]) -> set[int]:
    """Mailboxes of running campaigns."""
    links = Campaign.mailboxes.through.objects.filter(campaign__state=Campaign.State.RUNNING)
    return set(links.filter(mailbox__in=mailbox_ids).values_list("mailbox_id", flat=True))


__all__ = ["choose", "is_waiting", "keen", "take"]
