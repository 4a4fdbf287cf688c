"""Choose what campaigns send now: a constant number of queries for any number of leads and mailboxes (K1, K2, K5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Exists, F, Min, OuterRef, Q, Subquery, Window
from django.db.models.functions import RowNumber

from campaigns import calendar
from campaigns.assigning import Due, Sender, assign
from campaigns.models import Campaign, Lead, Step, Suppression
from campaigns.moving import take_back, without_home
from campaigns.writing import write
from mailboxes.models import Mailbox, OutMessage, Pace
from mailboxes.outbox import paces, tempo

CAMPAIGNS_AT_ONCE = 100
State = Lead.State


@transaction.atomic
def choose(limit: int, now: datetime) -> int:
    """Queue the messages that may go out now, one of a mailbox. Returns how many."""
    take_back(now)
    campaigns = [one for one in _with_dues(now) if window_of(one).is_open(tempo.calendar(now))]
    senders = _senders(campaigns, limit, now)
    if not senders:
        return 0
    dues = _wanted([*_follow_ups(campaigns, senders, now), *_moved(campaigns, senders, now), *_new(campaigns, senders)])
    limits = {one.pk: one.daily_limit for one in campaigns}
    return write(assign(senders, dues, limits), {one.pk: one for one in campaigns}, now)


def is_waiting(now: datetime) -> bool:
    """True where a running campaign has somebody to write to."""
    return Campaign.objects.filter(_has_due(now), state=Campaign.State.RUNNING).exists()


def window_of(campaign: Campaign) -> calendar.Window:
    """The hours in which it sends."""
    return calendar.Window(campaign.zone, campaign.window_from, campaign.window_to, campaign.on_weekends)


def _has_due(now: datetime) -> Exists:
    return Exists(Lead.objects.filter(campaign=OuterRef("pk"), due_at__lte=now))


def _can_begin() -> Exists:
    """One that was left without steps while it ran waits for them: its leads have not come to an end."""
    return Exists(Step.objects.filter(campaign=OuterRef("pk"), number=1).exclude(subject=""))


def _with_dues(now: datetime) -> list[Campaign]:
    """Running campaigns with somebody to write to, those first whose last turn is longest ago."""
    new = Lead.objects.filter(campaign=OuterRef("pk"), state=State.NEW).order_by().values("campaign")
    running = Campaign.objects.filter(_has_due(now), _can_begin(), state=Campaign.State.RUNNING)
    rows = running.annotate(next_place=Subquery(new.annotate(first=Min("place")).values("first")))
    # Locked: who pauses one waits, and then finds what was queued for it.
    locked = rows.select_for_update(skip_locked=True, of=("self",))
    found: list[Campaign] = list(locked.order_by(F("chosen_at").asc(nulls_first=True))[:CAMPAIGNS_AT_ONCE])
    Campaign.objects.filter(id__in=[one.pk for one in found]).update(chosen_at=now)
    return found


def _senders(campaigns: Sequence[Campaign], limit: int, now: datetime) -> list[Sender]:
    """Mailboxes of these campaigns that are free now, held for us by their paces until the transaction ends."""
    links = Campaign.mailboxes.through.objects.filter(campaign__in=campaigns)
    free = paces.free(now).filter(id__in=links.values("mailbox"))
    locked = Pace.objects.select_for_update(skip_locked=True, of=("self",)).filter(mailbox__in=free)
    locked = locked.filter(next_send_at__lte=now)  # as it is now that it is locked
    ids = list(locked.order_by("next_send_at").values_list("mailbox_id", flat=True)[:limit])
    campaigns_of: dict[int, list[int]] = {}
    for campaign_id, mailbox_id in links.filter(mailbox__in=ids).values_list("campaign_id", "mailbox_id"):
        campaigns_of.setdefault(mailbox_id, []).append(campaign_id)
    sent = _sent_today(ids, campaigns, now)
    own = [(key, campaigns_of[key]) for key in ids if key in campaigns_of]
    return [Sender(key, {one: sent[key][one] for one in of}) for key, of in own]


def _sent_today(
    mailbox_ids: Collection[int], campaigns: Sequence[Campaign], now: datetime
) -> dict[int, dict[int, int]]:
    """Campaign messages of each mailbox since midnight in the zone of each campaign, by mailbox and campaign. One that
    was put off and waits counts for today: it goes out today."""
    midnights = {one.pk: tempo.real(window_of(one).day_began(tempo.calendar(now))) for one in campaigns}
    names = {midnight: f"since_{number}" for number, midnight in enumerate(sorted(set(midnights.values())))}
    waits = Q(state=OutMessage.State.QUEUED)
    rows = OutMessage.objects.filter(mailbox_id__in=mailbox_ids, purpose=OutMessage.Purpose.CAMPAIGN).order_by()
    lately = rows.filter(waits | Q(on_wire_at__gte=min(names, default=now)))
    counts = {name: Count("id", filter=waits | Q(on_wire_at__gte=midnight)) for midnight, name in names.items()}
    counted = lately.values("mailbox_id").annotate(**counts).values_list("mailbox_id", *counts)
    found = {row[0]: dict(zip(counts, row[1:], strict=True)) for row in counted}
    none: dict[str, int] = dict.fromkeys(names.values(), 0)
    return {
        key: {one: found.get(key, none)[names[midnight]] for one, midnight in midnights.items()} for key in mailbox_ids
    }


def _follow_ups(campaigns: Sequence[Campaign], senders: Sequence[Sender], now: datetime) -> list[Due]:
    """For each free mailbox the conversation that has waited longest."""
    waiting = Lead.objects.filter(campaign__in=campaigns, home=OuterRef("pk"), state=State.ACTIVE, due_at__lte=now)
    in_campaign = waiting.filter(campaign__mailboxes=F("home")).exclude(_used_up(campaigns, senders))
    oldest = Subquery(in_campaign.order_by("due_at").values("pk")[:1])
    homes = Mailbox.objects.filter(id__in=[one.mailbox_id for one in senders]).annotate(lead_id=oldest)
    ids = homes.filter(lead_id__isnull=False).values_list("lead_id", flat=True)
    rows = Lead.objects.filter(id__in=list(ids)).order_by("due_at")
    return [Due(*row) for row in rows.values_list("id", "campaign_id", "home_id")]


def _used_up(campaigns: Sequence[Campaign], senders: Sequence[Sender]) -> Q:
    """Conversations of a mailbox that has sent all that their campaign allows it today: others of it may go on."""
    used_up = Q(pk__in=[])
    for sender in senders:
        full = [one.pk for one in campaigns if sender.sent_today.get(one.pk, 0) >= one.daily_limit]
        used_up |= Q(home=sender.mailbox_id, campaign__in=full) if full else Q(pk__in=[])
    return used_up


def _moved(campaigns: Sequence[Campaign], senders: Sequence[Sender], now: datetime) -> list[Due]:
    """Conversations whose mailbox is gone, or broken for longer than the campaign waits (K2): of each campaign as many
    as it has free mailboxes, those that have waited longest."""
    free = _free_places(campaigns, senders)
    homeless = Lead.objects.filter(without_home(free, now), state=State.ACTIVE, due_at__lte=now)
    turn = Window(RowNumber(), partition_by=F("campaign"), order_by=[F("due_at"), F("id")])
    rows = homeless.alias(turn=turn).filter(turn__lte=max(free.values(), default=0)).order_by("due_at")
    return [Due(lead_id, campaign_id, None) for lead_id, campaign_id in rows.values_list("id", "campaign_id")]


def _new(campaigns: Sequence[Campaign], senders: Sequence[Sender]) -> list[Due]:
    """As many new leads of each campaign as it has free mailboxes, in their order."""
    free = _free_places(campaigns, senders)
    nearest = Q(pk__in=[])
    for one in campaigns:
        place = vars(one)["next_place"]
        if one.pk in free and place is not None:
            nearest |= Q(campaign=one, place__range=(place, place + 2 * free[one.pk]))
    rows = Lead.objects.filter(nearest, state=State.NEW).order_by("place")
    return [Due(lead_id, campaign_id, None) for lead_id, campaign_id in rows.values_list("id", "campaign_id")]


def _free_places(campaigns: Sequence[Campaign], senders: Sequence[Sender]) -> dict[int, int]:
    """How many messages each campaign can have sent now; those that can have none are left out."""
    limits = {one.pk: one.daily_limit for one in campaigns}
    return Counter(key for one in senders for key, count in one.sent_today.items() if count < limits[key])


def _wanted(dues: Sequence[Due]) -> list[Due]:
    """Locked for us, and without those who do not want to be written to any more: these end here."""
    ids = [due.lead_id for due in dues]
    unwanted = Suppression.objects.filter(workspace=OuterRef("campaign__workspace"), email=OuterRef("email"))
    rows = Lead.objects.select_for_update(skip_locked=True, of=("self",)).filter(id__in=ids, due_at__isnull=False)
    found = dict(rows.annotate(unwanted=Exists(unwanted)).values_list("id", "unwanted"))
    ended = [key for key, is_unwanted in found.items() if is_unwanted]
    Lead.objects.filter(id__in=ended).update(state=State.UNSUBSCRIBED, due_at=None, note="On the suppression list.")
    return [due for due in dues if found.get(due.lead_id) is False]
