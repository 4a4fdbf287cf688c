"""What follows a message that was sent: the next step after its wait, or the end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from campaigns.models import Lead, LeadMessage, Step
from mailboxes.outbox import tempo


def after(rows: Sequence[LeadMessage]) -> list[dict[str, object]]:
    """Return the values of each message's lead, by column, in one query. The rows are loaded with message and lead."""
    waits = {
        (step.campaign_id, step.number): timedelta(days=step.wait_days)
        for step in Step.objects.filter(campaign__in={row.lead.campaign_id for row in rows})
    }
    return [_after(row, waits.get((row.lead.campaign_id, row.step + 1))) for row in rows]


def _after(row: LeadMessage, wait: timedelta | None) -> dict[str, object]:
    if wait is None:
        return {"pk": row.lead_id, "step": row.step, "state": Lead.State.FINISHED.value, "due_at": None}
    due_at = (row.out.sent_at or row.out.created_at) + tempo.lasting(wait)
    return {"pk": row.lead_id, "step": row.step, "state": Lead.State.ACTIVE.value, "due_at": due_at}
