"""Leads that lack a field which their next step names: they are held with the reason, never written to with a hole, and
go on when a step or the lead is corrected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Count, Q

from campaigns.models import Campaign, Lead, Step
from campaigns.templating import names, render

OPEN = (Lead.State.NEW, Lead.State.ACTIVE)


def hole(step: Step, fields: Mapping[str, str]) -> str:
    """Why the step cannot be written to a lead with these fields; "" where it can."""
    lacks = sorted(name for name in names(step.subject) | names(step.body) if not fields.get(name, "").strip())
    if lacks:
        return f"Step {step.number} needs {', '.join(lacks)}"[:500]
    if step.number == 1 and not render(step.subject, fields).strip():
        return "Step 1 has an empty subject for this lead"
    return ""


def release(campaign: Campaign, now: datetime) -> None:
    """A step or a lead was corrected: the held ones are due again, and held anew where they still lack something."""
    held = Lead.objects.filter(campaign=campaign, state__in=OPEN).exclude(lacks="")
    held.update(lacks="", due_at=now)


def warning(campaign: Campaign) -> str:
    """Which fields the steps need that some leads lack, and how many leads; "" where none does. One query for the steps
    and one for the leads."""
    last: dict[str, int] = {}  # the last step that needs it: leads that are past it need it no more
    for step in campaign.steps.order_by("number"):
        last |= dict.fromkeys((names(step.subject) | names(step.body)) - {"email"}, step.number)
    if not last:
        return ""
    counts = {
        f"lacks_{number}": Count("id", filter=_lacks(name) & Q(step__lt=step))
        for number, (name, step) in enumerate(sorted(last.items()))
    }
    leads = Lead.objects.filter(campaign=campaign, state__in=OPEN).order_by()
    found = dict(zip(sorted(last), leads.aggregate(**counts).values(), strict=True))
    told = [f"{count} lead{'' if count == 1 else 's'} without {name}" for name, count in found.items() if count]
    if not told:
        return ""
    return (
        f"The steps name fields that some leads lack: {', '.join(told)}. They are held when it is their turn. "
        "Give a fallback in the step, as in {{ first_name|there }}, or import these leads again with the field."
    )


def _lacks(name: str) -> Q:
    return ~Q(fields__has_key=name) | Q(**{f"fields__{name}": ""})
