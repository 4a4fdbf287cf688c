"""What people do to campaigns: one function for each, with its audit row in the same transaction (K3, K5)."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from campaigns.models import Campaign, Lead, LeadMessage, Suppression
from campaigns.moving import return_to_leads
from mailboxes.inbox.due import read_soon
from mailboxes.models import AuditEntry, Workspace
from mailboxes.outbox import queue

State = Campaign.State
LEFT = (Lead.State.NEW, Lead.State.ACTIVE, Lead.State.HELD)
MOST_FINISHED = 500


class CannotStart(Exception):
    """The campaign lacks something; the text says what."""


@transaction.atomic
def start(campaign: Campaign, *, acting_user: AbstractBaseUser | None, now: datetime) -> None:
    """Start or resume it. Nothing that was missed meanwhile is made up for. Raises CannotStart."""
    if lacks := missing(campaign):
        raise CannotStart(lacks)
    if _turn(campaign, State.RUNNING, acting_user, now):
        read_soon(campaign.mailboxes.values_list("id", flat=True), now)


@transaction.atomic
def pause(campaign: Campaign, *, acting_user: AbstractBaseUser | None, now: datetime) -> None:
    """A person's pause: nothing goes out any more but what is on the wire, and only a person ends it."""
    if _turn(campaign, State.PAUSED, acting_user, now):
        waiting = LeadMessage.objects.select_for_update(of=("self",)).filter(lead__campaign=campaign, settled=False)
        return_to_leads(list(waiting.order_by("id")), now)


@transaction.atomic
def go_on(campaign: Campaign, *, acting_user: AbstractBaseUser | None, now: datetime) -> None:
    """A finished campaign was given new leads: it runs on. One that a person paused stays so."""
    if Campaign.objects.filter(pk=campaign.pk, state=State.FINISHED).exists() and not missing(campaign):
        start(campaign, acting_user=acting_user, now=now)


@transaction.atomic
def finish(now: datetime) -> int:
    """Running campaigns without anybody left to write to are finished. Returns how many. A lead that is held, or whose
    message is under way, is left to write to."""
    left = Lead.objects.filter(campaign=OuterRef("pk"), state__in=LEFT)
    done = Campaign.objects.filter(~Exists(left), state=State.RUNNING).order_by()
    # Locked, and then asked once more: who imports leads at this moment holds the campaign.
    ids = list(done.select_for_update(skip_locked=True, of=("self",)).values_list("id", flat=True)[:MOST_FINISHED])
    finished = list(done.filter(id__in=ids).values_list("id", "name"))
    Campaign.objects.filter(id__in=[key for key, _name in finished]).update(
        state=State.FINISHED, changed_at=now, changed_by=None
    )
    AuditEntry.objects.bulk_create(
        AuditEntry(actor_id=None, action="campaign finished", at=now, detail=name) for _key, name in finished
    )
    return len(finished)


def missing(campaign: Campaign) -> str:
    """What it lacks to be started; "" for nothing."""
    first = campaign.steps.filter(number=1).first()
    if first is None or not first.subject:
        return "It has no first step with a subject: write one."
    if not campaign.mailboxes.exists():
        return "It has no mailbox: add one."
    if not campaign.leads.exists():
        return "It has no leads: import some."
    return (
        "" if campaign.leads.filter(state__in=LEFT).exists() else "All its leads have come to their end: import more."
    )


def _turn(campaign: Campaign, state: str, user: AbstractBaseUser | None, now: datetime) -> bool:
    user_id = user.pk if user else None
    others = Campaign.objects.filter(pk=campaign.pk).exclude(state=state)
    changed = others.update(state=state, changed_at=now, changed_by_id=user_id)
    if changed:
        action = "campaign started" if state == State.RUNNING else "campaign paused"
        AuditEntry.objects.create(actor_id=user_id, action=action, at=now, detail=campaign.name)
    campaign.refresh_from_db()
    return bool(changed)


@transaction.atomic
def unsubscribe(lead: Lead, now: datetime) -> None:
    """Never write to this person again from this workspace, in whatever campaign; safe to do twice."""
    workspace = lead.campaign.workspace
    leads = Lead.objects.filter(campaign__workspace=workspace, email=lead.email)
    never_again(workspace, lead.email, leads, Suppression.Reason.UNSUBSCRIBED, now)


def never_again(workspace: Workspace, email: str, leads: QuerySet[Lead], reason: str, now: datetime) -> bool:
    """Inside the caller's transaction: the address onto the list, these leads ended, what is queued for them taken
    back. False where it stood on the list already."""
    values = {"reason": reason, "added_at": now}
    _row, is_new = Suppression.objects.get_or_create(workspace=workspace, email=email, defaults=values)
    # Locked first: who is choosing one of them at this moment has queued its message then.
    ids = list(leads.select_for_update(of=("self",)).order_by("id").values_list("id", flat=True))
    waiting = LeadMessage.objects.filter(lead__in=ids, settled=False).values_list("out_id", flat=True)
    queue.cancel(list(waiting))
    ended = Lead.objects.filter(id__in=ids).exclude(state=Lead.State.UNSUBSCRIBED)
    ended.update(state=Lead.State.UNSUBSCRIBED, due_at=None, ended_at=now, note="On the suppression list.")
    return is_new
