"""Conversations and a mailbox that breaks: what has not begun goes to others at once, what has begun waits (K2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q

from campaigns.held import with_broken_since
from campaigns.models import Campaign, Lead, LeadMessage
from mailboxes.models import Mailbox, OutMessage
from mailboxes.outbox import queue, tempo

MOST = 500


def take_back(now: datetime) -> None:
    """Queued messages whose mailbox cannot send them, where others may: first messages, and conversations that have
    waited long enough. Their leads are due again."""
    # Locked: who comes second must not give back what has been chosen again meanwhile.
    waiting = LeadMessage.objects.select_for_update(skip_locked=True, of=("self",)).filter(settled=False)
    stuck = waiting.filter(out__state=OutMessage.State.QUEUED).exclude(out__mailbox__in=Mailbox.objects.working())
    rows = list(stuck.select_related("lead__campaign", "out__mailbox").order_by("id")[:MOST])
    first = [row for row in rows if row.step == 1]
    begun = [row for row in rows if row.step > 1]
    homes = _gone_homes({row.lead.campaign for row in begun}, now)
    moving = [
        row
        for row in begun
        if row.out.mailbox.removed_at is not None or (row.lead.campaign_id, row.out.mailbox_id) in homes
    ]
    return_to_leads([*first, *moving], now)


def return_to_leads(rows: Sequence[LeadMessage], now: datetime) -> None:
    """Cancel what has not been handed over, and have its lead chosen again. The caller has locked the rows."""
    gone = queue.cancel([row.out_id for row in rows])
    back = [row for row in rows if row.out_id in gone]
    LeadMessage.objects.filter(id__in=[row.pk for row in back]).delete()
    leads = Lead.objects.filter(id__in=[row.lead_id for row in back])
    leads.filter(state=Lead.State.ACTIVE).update(due_at=now)
    # Nobody has written to these yet: they are anybody's.
    leads.filter(state=Lead.State.ACTIVE, step=0).update(state=Lead.State.NEW, home=None)


def without_home(campaigns: Sequence[Campaign], now: datetime) -> Q:
    """The leads of these campaigns that need another mailbox: theirs was removed, taken out of the campaign, or is
    broken for too long."""
    links = Campaign.mailboxes.through.objects.filter(campaign=OuterRef("campaign"), mailbox=OuterRef("home"))
    gone = Q(~Exists(links) | Q(home__removed_at__isnull=False), campaign__in=campaigns)
    for campaign_id, mailbox_id in _gone_homes(campaigns, now):
        gone |= Q(campaign=campaign_id, home=mailbox_id)
    return gone


def _gone_homes(campaigns: Iterable[Campaign], now: datetime) -> set[tuple[int, int]]:
    """Campaign and mailbox, where the campaign waits no longer for the mailbox."""
    waits = {one.pk: one.move_after_days for one in campaigns if one.move_after_days is not None}
    broken = with_broken_since(Mailbox.objects.filter(campaigns__in=waits).exclude(id__in=Mailbox.objects.working()))
    rows = broken.annotate(campaign_id=F("campaigns")).values_list("campaign_id", "id", "broken_since")
    return {(key, mailbox) for key, mailbox, since in rows if since <= now - tempo.lasting(timedelta(days=waits[key]))}
