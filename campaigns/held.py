"""Whether a running campaign is held for want of a mailbox, why, and since when: read from the mailboxes (K3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from campaigns.models import Campaign
from mailboxes.models import Mailbox, StatusChange
from mailboxes.models.mailbox import MailboxQuerySet
from mailboxes.states import Status


@dataclass(frozen=True, slots=True)
class Held:
    """A campaign that waits for its mailboxes. `reason` is a sentence; `since` the moment when its last one broke."""

    reason: str
    since: datetime | None


def held(campaigns: Iterable[Campaign]) -> dict[int, Held]:
    """The held ones among running campaigns, by id, in one query."""
    running = [one.pk for one in campaigns if one.state == Campaign.State.RUNNING]
    by_campaign: dict[int, list[Mailbox]] = {key: [] for key in running}
    rows = with_broken_since(Mailbox.objects.filter(campaigns__in=running)).annotate(campaign_id=F("campaigns"))
    for mailbox in rows.only("id", "address", *_STATE):
        by_campaign[vars(mailbox)["campaign_id"]].append(mailbox)
    return {key: _held(mailboxes) for key, mailboxes in by_campaign.items() if not any(map(_works, mailboxes))}


def where_held(campaigns: QuerySet[Campaign]) -> QuerySet[Campaign]:
    """The held ones among these, as a query: running, and none of their mailboxes works."""
    works = Mailbox.objects.working().filter(wants_smtp=True, campaigns=OuterRef("pk"))
    return campaigns.filter(~Exists(works), state=Campaign.State.RUNNING)


_STATE = (
    "status", "status_since", "held_since", "removed_at", "pause_reason", "auth_failure_open", "settings_fault",
    "needs_reconnect", "wants_smtp",
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


def _held(mailboxes: list[Mailbox]) -> Held:
    if not mailboxes:
        return Held("It has no mailbox: add one.", None)
    counts = Counter("Paused" if one.held_since else one.badge for one in mailboxes)
    told = ", ".join(f"{count} × {badge}" if len(mailboxes) > 1 else badge for badge, count in counts.most_common())
    since = max(vars(one)["broken_since"] for one in mailboxes)
    whose = "Its only mailbox does not work" if len(mailboxes) == 1 else f"None of its {len(mailboxes)} mailboxes works"
    return Held(f"{whose} ({told}). It goes on by itself as soon as one does.", since)
