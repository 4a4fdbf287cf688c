"""Take note: of what became of messages, of answers, and of bounces (K6). Safe to run twice, and side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction

from campaigns import address_faults
from campaigns.changes import never_again
from campaigns.doubtful import hold
from campaigns.following import after
from campaigns.models import Lead, LeadMessage, Suppression
from campaigns.moving import return_to_leads
from mailboxes.health import risk
from mailboxes.inbox.matching import is_address_fault, is_final
from mailboxes.models import InMessage, OutMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import queue

MOST = 500
NO_SUCH_USER = "5.1.1"  # RFC 3463: the mailbox does not exist
Out = OutMessage.State


def take(now: datetime) -> int:
    """Answers and bounces first, so that nobody who answered is written to again. Returns how many were taken."""
    taken, bounced = _take_arrivals(now)
    if bounced:  # apart, since it locks check states, which come first everywhere
        with transaction.atomic():
            risk.assess(bounced, now)
    with transaction.atomic():
        address_faults.release(now)
    return taken + _settle(now)


@transaction.atomic
def _take_arrivals(now: datetime) -> tuple[int, set[int]]:
    """How many, and the mailboxes that mail came back to for good, as far as it is proved."""
    waiting = InMessage.objects.select_for_update(skip_locked=True, of=("self",))
    found = waiting.filter(waits_for=OutMessage.Purpose.CAMPAIGN).select_related("answers").order_by("id")
    rows = list(found[:MOST])
    leads = _leads(rows)
    replies = [row for row in rows if row.kind == InMessage.Kind.MESSAGE]
    _end({leads[row.answers_id]: "" for row in replies if row.answers_id in leads}, Lead.State.REPLIED, now)
    reports = [row for row in rows if is_final(row) or row.kind == InMessage.Kind.COMPLAINT]
    reports = [row for row in reports if row.answers_id in leads]
    bounces = [row for row in reports if row.proved and is_final(row)]
    _bounced(bounces, leads, now)
    _complained([leads[row.answers_id] for row in reports if row.proved and not is_final(row)], now)
    # A report may be forged that shows neither our Message-ID nor our mark (SPEC M4).
    hold({leads[row.answers_id]: row.bounce_text for row in reports if not row.proved}, now)
    InMessage.objects.filter(id__in=[row.pk for row in rows]).update(waits_for="")
    return len(rows), {row.mailbox_id for row in bounces}


def _leads(rows: Sequence[InMessage]) -> Mapping[int | None, int]:
    """Lead by the message of ours that was answered."""
    messages = LeadMessage.objects.filter(out__in=[row.answers_id for row in rows])
    return dict(messages.values_list("out_id", "lead_id"))


def _end(notes: Mapping[int, str], state: str, now: datetime) -> None:
    """End these leads, each with its note, and take back what is queued for them. Who unsubscribed stays so."""
    leads = Lead.objects.select_for_update().filter(id__in=notes).order_by("id")
    states = dict(leads.values_list("id", "state"))
    ended = {"state": str(state), "due_at": None, "ended_at": now}
    willing = [key for key, known in states.items() if known != Lead.State.UNSUBSCRIBED]
    update_rows(Lead, [{"pk": key, "note": notes[key], **ended} for key in willing])
    waiting = LeadMessage.objects.filter(lead__in=notes, settled=False).values_list("out_id", flat=True)
    queue.cancel(list(waiting))


def _bounced(rows: Sequence[InMessage], leads: Mapping[int | None, int], now: datetime) -> None:
    if not rows:
        return
    marked = [{"pk": row.answers_id, "bounced_at": now, "bounce_text": row.bounce_text} for row in rows]
    update_rows(OutMessage, marked)
    _end({leads[row.answers_id]: row.bounce_text for row in rows}, Lead.State.BOUNCED, now)
    gone = [leads[row.answers_id] for row in rows if is_address_fault(row)]
    _suppress(Lead.objects.filter(id__in=gone).select_related("campaign"), Suppression.Reason.BOUNCED, now)
    address_faults.note(gone, now)


def _complained(lead_ids: Sequence[int], now: datetime) -> None:
    """Who called our mail spam is written to no more by anybody in the workspace."""
    for lead in Lead.objects.filter(id__in=lead_ids).select_related("campaign__workspace").order_by("id"):
        workspace = lead.campaign.workspace
        everywhere = Lead.objects.filter(campaign__workspace=workspace, email=lead.email)
        never_again(workspace, lead.email, everywhere, Suppression.Reason.COMPLAINED, now)


def _suppress(leads: Iterable[Lead], reason: str, now: datetime) -> None:
    Suppression.objects.bulk_create(
        [
            Suppression(workspace_id=lead.campaign.workspace_id, email=lead.email, reason=reason, added_at=now)
            for lead in leads
        ],
        ignore_conflicts=True,
    )


@transaction.atomic
def _settle(now: datetime) -> int:
    """Tell the leads what became of their messages."""
    open_now = LeadMessage.objects.select_for_update(skip_locked=True, of=("self",)).filter(settled=False)
    ended = open_now.filter(out__state__in=(Out.SENT, Out.REFUSED, Out.EXPIRED, Out.CANCELLED))
    rows = list(ended.select_related("out", "lead__campaign").order_by("id")[:MOST])
    _sent([row for row in rows if row.out.state == Out.SENT])
    _refused([row for row in rows if row.out.state in (Out.REFUSED, Out.EXPIRED)], now)
    return_to_leads([row for row in rows if row.out.state == Out.CANCELLED], now)
    LeadMessage.objects.filter(id__in=[row.pk for row in rows]).update(settled=True)
    return len(rows)


def _sent(rows: Sequence[LeadMessage]) -> None:
    """The next step is due after its wait; after the last one the lead has come to its end."""
    # One that answered, or unsubscribed, meanwhile stays what it is; what it was sent is counted all the same.
    changes = [change | {"was_state": Lead.State.ACTIVE.value} for change in after(rows)]
    update_rows(Lead, changes, expect=("state",))


def _refused(rows: Sequence[LeadMessage], now: datetime) -> None:
    ended = {"state": Lead.State.REFUSED.value, "due_at": None, "ended_at": now, "was_state": Lead.State.ACTIVE.value}
    update_rows(Lead, [{"pk": row.lead_id, "note": row.out.text, **ended} for row in rows], expect=("state",))
    address_faults.note([row.lead_id for row in rows if NO_SUCH_USER in row.out.text], now)
