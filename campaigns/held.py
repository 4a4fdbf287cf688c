"""Whether a running campaign is held since none of its mailboxes can send, why, and since when: read from the
mailboxes (K3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from campaigns.models import Campaign
from mailboxes import clock
from mailboxes.models import Mailbox, StatusChange
from mailboxes.models.mailbox import MailboxQuerySet, is_confirmed
from mailboxes.states import Status


@dataclass(frozen=True, slots=True)
class Held:
    """A campaign that waits for its mailboxes. `reason` is a sentence; `since` the moment when its last one broke, or
    None where one works and only rests."""

    reason: str
    since: datetime | None


def held(campaigns: Iterable[Campaign], now: datetime | None = None) -> dict[int, Held]:
    """The held ones among running campaigns, by id, in one query."""
    now = now or clock.now()
    running = [one.pk for one in campaigns if one.state == Campaign.State.RUNNING]
    by_campaign: dict[int, list[Mailbox]] = {key: [] for key in running}
    can_send = Exists(Mailbox.objects.can_send(now).filter(pk=OuterRef("pk")))
    rows = with_broken_since(Mailbox.objects.filter(campaigns__in=running)).annotate(
        campaign_id=F("campaigns"), sends=can_send, confirmed=is_confirmed(now)
    )
    for mailbox in rows.only("id", "address", *_STATE):
        by_campaign[vars(mailbox)["campaign_id"]].append(mailbox)
    idle = {key: boxes for key, boxes in by_campaign.items() if not any(vars(one)["sends"] for one in boxes)}
    return {key: _held(boxes, now) for key, boxes in idle.items()}


def where_held(campaigns: QuerySet[Campaign], now: datetime | None = None) -> QuerySet[Campaign]:
    """The held ones among these, as a query: running, and none of their mailboxes can send."""
    can_send = Mailbox.objects.can_send(now or clock.now()).filter(campaigns=OuterRef("pk"))
    return campaigns.filter(~Exists(can_send), state=Campaign.State.RUNNING)


_STATE = (
    "status", "status_since", "held_since", "removed_at", "pause_reason", "auth_failure_open", "settings_fault",
    "needs_reconnect", "wants_smtp", "resting_until", "throttled_until", "risk_until",
)  # fmt: skip


def with_broken_since(mailboxes: MailboxQuerySet) -> MailboxQuerySet:
    """Annotated with `broken_since`: when it left work, by its removal, its pause or its status changes. Means nothing
    for one that works."""
    left = StatusChange.objects.filter(mailbox=OuterRef("pk"), from_status=Status.CONNECTED)
    lost = left.order_by().values("mailbox").annotate(at=Max("at")).values("at")
    since = Coalesce(F("removed_at"), F("held_since"), Subquery(lost), F("created_at"))
    return mailboxes.annotate(broken_since=since)


def _works(mailbox: Mailbox) -> bool:
    return mailbox.status == Status.CONNECTED and mailbox.held_since is None and mailbox.wants_smtp


def _held(mailboxes: list[Mailbox], now: datetime) -> Held:
    if not mailboxes:
        return Held("It has no mailbox: add one.", None)
    counts = Counter(_why_idle(one, now) for one in mailboxes)
    told = ", ".join(f"{count} × {words}" if len(mailboxes) > 1 else words for words, count in counts.most_common())
    if len(mailboxes) == 1:
        whose = "Its only mailbox cannot send at the moment"
    else:
        whose = f"None of its {len(mailboxes)} mailboxes can send at the moment"
    since = None if any(map(_works, mailboxes)) else max(vars(one)["broken_since"] for one in mailboxes)
    return Held(f"{whose} ({told}). It goes on by itself as soon as one can.", since)


def _why_idle(mailbox: Mailbox, now: datetime) -> str:
    """The first thing that keeps it from sending, in the words of its badges."""
    if mailbox.held_since is not None:
        return "Paused"
    if mailbox.status != Status.CONNECTED or mailbox.removed_at is not None:
        return mailbox.badge
    if not mailbox.wants_smtp:
        return "Reads only"
    if not vars(mailbox)["confirmed"]:
        return "Address not confirmed"
    rests = {
        "At its sending limit": mailbox.resting_until,
        "Too many bounces": mailbox.risk_until,
        "Its mail server wants a pause": mailbox.throttled_until,
    }
    resting = (words for words, until in rests.items() if until is not None and until > now)
    return next(resting, "Reads first what has arrived")
