"""Leads that a report calls undeliverable without proof that it is about our message (SPEC M4). Such a report may be
forged: it holds one lead, and a person decides. Nothing is suppressed, and the mailbox's risk does not count it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from campaigns.following import after
from campaigns.models import AddressFault, Lead, LeadMessage, Suppression
from campaigns.moving import return_to_leads
from mailboxes.models import AuditEntry, OutMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import queue

State = Lead.State
NO_WORDS = "A report without our Message-ID says that the message did not arrive."


def hold(notes: Mapping[int, str], now: datetime) -> None:
    """Hold these leads, each with its note, inside the caller's transaction: they are written to no more until a person
    decides. Who has answered, bounced or left stays as they are."""
    if not notes:
        return
    leads = Lead.objects.select_for_update().filter(id__in=notes, state__in=(State.ACTIVE, State.FINISHED))
    ids = list(leads.order_by("id").values_list("id", flat=True))
    waiting = LeadMessage.objects.select_for_update(of=("self",)).filter(lead__in=ids, settled=False)
    return_to_leads(list(waiting.order_by("id")), now)
    AddressFault.objects.filter(lead__in=ids, held=True).update(held=False)  # from now on a person decides
    held = {"state": State.HELD.value, "due_at": None}
    update_rows(Lead, [{"pk": key, "note": notes[key] or NO_WORDS, **held} for key in ids])


@transaction.atomic
def take_as_gone(lead: Lead, *, acting_user: AbstractBaseUser, now: datetime) -> bool:
    """A person knows that the address is gone: it is suppressed in the workspace. False where the lead is held no
    more."""
    found = _held(lead)
    if found is None:
        return False
    Lead.objects.filter(pk=found.pk).update(state=State.BOUNCED, ended_at=now)
    waiting = LeadMessage.objects.filter(lead=found, settled=False).values_list("out_id", flat=True)
    queue.cancel(list(waiting))
    AddressFault.objects.filter(lead=found, held=True).update(held=False)
    values = {"reason": Suppression.Reason.ADDED, "added_at": now}
    workspace = found.campaign.workspace
    Suppression.objects.get_or_create(workspace=workspace, email=found.email, defaults=values)
    _note("lead taken as undeliverable", found, acting_user, now)
    return True


@transaction.atomic
def go_on(lead: Lead, *, acting_user: AbstractBaseUser, now: datetime) -> bool:
    """A person knows better: the sequence goes on where it stood. False where the lead is held no more."""
    found = _held(lead)
    if found is None:
        return False
    in_burst = AddressFault.objects.filter(lead=found, held=True).update(held=False)
    resume(found, now, again=bool(in_burst))
    _note("held lead goes on", found, acting_user, now)
    return True


def resume(lead: Lead, now: datetime, *, again: bool) -> None:
    """The sequence of a held and locked lead goes on where it stood, inside the caller's transaction. `again`: its last
    message never arrived, and is sent anew, as one that was refused is."""
    values: dict[str, object] = {"pk": lead.pk, "step": lead.step, "state": State.ACTIVE.value, "due_at": now}
    rows = LeadMessage.objects.filter(lead=lead, settled=True).exclude(out__state=OutMessage.State.CANCELLED)
    last = rows.select_related("out", "lead").order_by("-step").first()
    if LeadMessage.objects.filter(lead=lead, settled=False).exists():
        values["due_at"] = None  # one is under way: what becomes of it tells what follows
    elif last is not None and (again or last.out.state != OutMessage.State.SENT):
        values["step"] = last.step - 1
        last.delete()  # the step is free to be sent once more (K4's constraint)
    elif last is not None:
        [values] = after([last])
    update_rows(Lead, [{**values, "note": ""}])


def _held(lead: Lead) -> Lead | None:
    """Locked, where it is held."""
    rows = Lead.objects.select_for_update(of=("self",)).select_related("campaign__workspace")
    return rows.filter(pk=lead.pk, state=State.HELD).first()


def _note(action: str, lead: Lead, user: AbstractBaseUser, now: datetime) -> None:
    detail = f"workspace {lead.campaign.workspace_id}: {lead.email} · {lead.campaign.name}"[:200]
    AuditEntry.objects.create(actor_id=user.pk, action=action, at=now, detail=detail)
