"""What people write and bring: a campaign with its steps, leads, suppressed addresses. One function for each, with its
audit row in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from campaigns import importing
from campaigns.changes import go_on, never_again
from campaigns.lacking import release
from campaigns.models import Campaign, Lead, LeadMessage, Step, Suppression
from campaigns.moving import return_to_leads
from mailboxes.models import AuditEntry, Mailbox, Workspace

OPEN = (Lead.State.NEW, Lead.State.ACTIVE, Lead.State.HELD)


@transaction.atomic
def write(
    campaign: Campaign,
    mailboxes: Collection[Mailbox],
    steps: Iterable[Mapping[str, Any]],
    *,
    acting_user: AbstractBaseUser | None,
    now: datetime,
) -> None:
    """Store a campaign, new or changed, with its mailboxes and its steps in their order."""
    action = "campaign changed" if campaign.pk else "campaign written"
    if campaign.pk:
        campaign.save(update_fields=_settings())  # whether it runs is another function's, who may be at it now
    else:
        campaign.save()
    campaign.mailboxes.set(mailboxes)
    _leave_others(campaign, mailboxes, now)
    kept = [Step(campaign=campaign, number=number, **values) for number, values in enumerate(steps, 1)]
    Step.objects.filter(campaign=campaign, number__gt=len(kept)).delete()
    Step.objects.bulk_create(
        kept,
        update_conflicts=True,
        unique_fields=["campaign", "number"],
        update_fields=["wait_days", "subject", "body"],
    )
    release(campaign, now)
    _note(campaign.workspace_id, action, campaign.name, acting_user, now)


def _settings() -> list[str]:
    """The columns that the form holds."""
    return [
        "name", "zone", "window_from", "window_to", "on_weekends", "daily_limit", "spacing_minutes", "move_after_days",
        "track_opens",
    ]  # fmt: skip


def _leave_others(campaign: Campaign, mailboxes: Collection[Mailbox], now: datetime) -> None:
    """What waits to go out by a mailbox that was taken out of the campaign goes out by another one."""
    open_now = LeadMessage.objects.select_for_update(of=("self",)).filter(lead__campaign=campaign, settled=False)
    return_to_leads(list(open_now.exclude(out__mailbox__in=mailboxes).order_by("id")), now)


@transaction.atomic
def bring(data: bytes, campaign: Campaign, *, acting_user: AbstractBaseUser | None, now: datetime) -> importing.Read:
    """Store the good rows of a file. Raises importing.Unreadable."""
    found = importing.keep(data, campaign, now)
    if found.good:
        go_on(campaign, acting_user=acting_user, now=now)
    _note(campaign.workspace_id, "leads imported", f"{len(found.good)} · {campaign.name}", acting_user, now)
    return found


@transaction.atomic
def suppress(workspace: Workspace, email: str, *, acting_user: AbstractBaseUser | None, now: datetime) -> bool:
    """Never write to this address again, in whatever campaign. False where it stood on the list already."""
    leads = Lead.objects.filter(campaign__workspace=workspace, email=email, state__in=OPEN)
    is_new = never_again(workspace, email, leads, Suppression.Reason.ADDED, now)
    if is_new:
        _note(workspace.pk, "address suppressed", email, acting_user, now)
    return is_new


def _note(workspace_id: int, action: str, detail: str, user: AbstractBaseUser | None, now: datetime) -> None:
    text = f"workspace {workspace_id}: {detail}"[:200]
    AuditEntry.objects.create(actor_id=user.pk if user else None, action=action, at=now, detail=text)
