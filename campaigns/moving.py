"""Conversations and a mailbox that breaks: what has not begun goes to others at once, what has begun waits (K2)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models import (
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    Value,
)
from django.db.models.functions import Cast

from campaigns.held import with_broken_since
from campaigns.models import Campaign, Lead, LeadMessage
from mailboxes.models import Mailbox, OutMessage
from mailboxes.outbox import queue, tempo

MOST = 500


def take_back(now: datetime) -> None:
    """Queued messages whose mailbox cannot send them, where others may: first messages, and conversations that have
    waited long enough. Their leads are due again. What only waits for its mailbox is not looked at: it would stand
    before what can move."""
    # Locked: who comes second must not give back what has been chosen again meanwhile.
    waiting = LeadMessage.objects.select_for_update(skip_locked=True, of=("self",)).filter(settled=False)
    stuck = waiting.filter(out__state=OutMessage.State.QUEUED).filter(~_works("out__mailbox"))
    gone = Q(_is_removed("out__mailbox")) | _waited_long("lead__campaign", "out__mailbox", now)
    return_to_leads(list(stuck.filter(Q(step=1) | gone).order_by("id")[:MOST]), now)


def return_to_leads(rows: Sequence[LeadMessage], now: datetime) -> None:
    """Cancel what has not been handed over, and have its lead chosen again. The caller has locked the rows."""
    gone = queue.cancel([row.out_id for row in rows])
    back = [row for row in rows if row.out_id in gone]
    LeadMessage.objects.filter(id__in=[row.pk for row in back]).delete()
    leads = Lead.objects.filter(id__in=[row.lead_id for row in back])
    leads.filter(state=Lead.State.ACTIVE).update(due_at=now)
    # Nobody has written to these yet: they are anybody's.
    leads.filter(state=Lead.State.ACTIVE, step=0).update(state=Lead.State.NEW, home=None)


def without_home(campaigns: Collection[int], now: datetime) -> Q:
    """The leads of these campaigns that need another mailbox: theirs was removed, taken out of the campaign, or is
    broken for too long."""
    links = Campaign.mailboxes.through.objects.filter(campaign=OuterRef("campaign"), mailbox=OuterRef("home"))
    gone = ~Exists(links) | _is_removed("home") | _waited_long("campaign", "home", now)
    return Q(gone, campaign__in=campaigns)


# EXISTS by the key: "in (select ...)" has PostgreSQL read all mailboxes.
def _works(mailbox: str) -> Exists:
    return Exists(Mailbox.objects.working().filter(pk=OuterRef(mailbox)))


def _is_removed(mailbox: str) -> Exists:
    return Exists(Mailbox.objects.filter(pk=OuterRef(mailbox), removed_at__isnull=False))


def _waited_long(campaign: str, mailbox: str, now: datetime) -> Q:
    """True where the campaign waits no longer for the mailbox; both are paths of the rows that are asked."""
    broken = Mailbox.objects.filter(pk=OuterRef(mailbox)).filter(~_works("pk"))
    days = Cast(OuterRef(f"{campaign}__move_after_days"), IntegerField())
    wait = days * Value(tempo.lasting(timedelta(days=1)))
    until = ExpressionWrapper(
        F("broken_since") + ExpressionWrapper(wait, DurationField()), output_field=DateTimeField()
    )
    return Q(Exists(with_broken_since(broken).annotate(moves_at=until).filter(moves_at__lte=now)))
