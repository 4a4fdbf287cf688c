"""Take note: of what became of messages, of answers, and of bounces (K6). Safe to run twice, and side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from campaigns.models import Lead, LeadMessage, Step, Suppression
from campaigns.moving import return_to_leads
from mailboxes.health import risk
from mailboxes.inbox.matching import is_address_fault, is_final
from mailboxes.models import InMessage, OutMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import queue, tempo

MOST = 500
Out = OutMessage.State


def take(now: datetime) -> int:
    """Answers and bounces first, so that nobody who answered is written to again. Returns how many were taken."""
    taken, bounced = _take_arrivals(now)
    if bounced:  # apart, since it locks check states, which come first everywhere
        with transaction.atomic():
            risk.assess(bounced, now)
    return taken + _settle(now)


@transaction.atomic
def _take_arrivals(now: datetime) -> tuple[int, set[int]]:
    """How many, and the mailboxes that mail came back to for good."""
    waiting = InMessage.objects.select_for_update(skip_locked=True, of=("self",))
    found = waiting.filter(waits_for=OutMessage.Purpose.CAMPAIGN).select_related("answers").order_by("id")
    rows = list(found[:MOST])
    leads = _leads(rows)
    replies = [row for row in rows if row.kind == InMessage.Kind.MESSAGE]
    bounces = [row for row in rows if is_final(row)]
    _end({leads[row.answers_id]: "" for row in replies if row.answers_id in leads}, Lead.State.REPLIED, now)
    bounces = [row for row in bounces if row.answers_id in leads]
    _bounced(bounces, leads, now)
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
    waits = {
        (step.campaign_id, step.number): timedelta(days=step.wait_days)
        for step in Step.objects.filter(campaign__in={row.lead.campaign_id for row in rows})
    }
    changes = [_after(row, waits.get((row.lead.campaign_id, row.step + 1))) for row in rows]
    # One that answered, or unsubscribed, meanwhile stays what it is; what it was sent is counted all the same.
    update_rows(Lead, [change | {"was_state": Lead.State.ACTIVE.value} for change in changes], expect=("state",))


def _after(row: LeadMessage, wait: timedelta | None) -> dict[str, object]:
    if wait is None:
        return {"pk": row.lead_id, "step": row.step, "state": Lead.State.FINISHED.value, "due_at": None}
    due_at = (row.out.sent_at or row.out.created_at) + tempo.lasting(wait)
    return {"pk": row.lead_id, "step": row.step, "state": Lead.State.ACTIVE.value, "due_at": due_at}


def _refused(rows: Sequence[LeadMessage], now: datetime) -> None:
    ended = {"state": Lead.State.REFUSED.value, "due_at": None, "ended_at": now, "was_state": Lead.State.ACTIVE.value}
    update_rows(Lead, [{"pk": row.lead_id, "note": row.out.text, **ended} for row in rows], expect=("state",))
