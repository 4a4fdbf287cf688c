"""Messages for the leads that were chosen: rendered, queued and noted, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.utils.html import escape

from campaigns.lacking import hole
from campaigns.models import Campaign, Lead, LeadMessage, Step
from campaigns.templating import render
from campaigns.tokens import opens_url, unsubscribe_url
from mailboxes.models import Mailbox, OutMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import paces, queue

MOST_FOLLOWED = 10
UNFIT_FOR = timedelta(days=1)


def write(chosen: Mapping[int, int], campaigns: Mapping[int, Campaign], now: datetime) -> int:
    """Queue the next step of each lead (lead to mailbox). Returns how many."""
    leads = list(Lead.objects.filter(id__in=chosen))
    steps = {(step.campaign_id, step.number): step for step in Step.objects.filter(campaign__in=campaigns)}
    mailboxes = {one.pk: one for one in Mailbox.objects.filter(id__in=set(chosen.values()))}
    told = _conversations(leads)
    unfit = {key for key, one in mailboxes.items() if queue.sender_fault(one)}
    leads = [lead for lead in leads if chosen[lead.pk] not in unfit]  # no fault of theirs: others write to them
    ready = [(lead, step) for lead in leads if (step := steps.get((lead.campaign_id, lead.step + 1)))]
    holes = {lead.pk: text for lead, step in ready if (text := hole(step, _fields(lead)))}
    update_rows(Lead, [{"pk": key, "lacks": text, "due_at": None} for key, text in holes.items()])
    leads = [lead for lead in leads if lead.pk not in holes]
    ready = [(lead, step) for lead, step in ready if lead.pk not in holes]
    drafts = {
        lead.pk: _draft(lead, step, campaigns[lead.campaign_id], mailboxes[chosen[lead.pk]], told.get(lead.pk, []), now)
        for lead, step in ready
    }
    faults = {key: text for key, draft in drafts.items() if (text := queue.fault(draft, now))}
    going = [(lead, step) for lead, step in ready if lead.pk not in faults]
    rows = queue.put([drafts[lead.pk] for lead, _step in going], now)
    LeadMessage.objects.bulk_create(
        [LeadMessage(lead=lead, step=step.number, out=row) for (lead, step), row in zip(going, rows, strict=True)]
    )
    _note(leads, drafts.keys(), faults, chosen, now)
    spacing = {chosen[lead.pk]: timedelta(minutes=campaigns[lead.campaign_id].spacing_minutes) for lead, _step in going}
    paces.space(spacing | dict.fromkeys(unfit, UNFIT_FOR), now)
    return len(rows)


def _note(
    leads: Iterable[Lead], ready: Collection[int], faults: Mapping[int, str], chosen: Mapping[int, int], now: datetime
) -> None:
    """Nothing is due for a lead while its message is under way. One without a next step has come to its end, and one
    for whom no message can be made as well: it must not keep the others waiting."""
    going = set(ready) - faults.keys()
    update_rows(
        Lead, [{"pk": key, "state": Lead.State.ACTIVE.value, "due_at": None, "home": chosen[key]} for key in going]
    )
    refused = {"state": Lead.State.REFUSED.value, "due_at": None, "ended_at": now}
    update_rows(Lead, [{"pk": key, "note": text, **refused} for key, text in faults.items()])
    ended = [lead.pk for lead in leads if lead.pk not in ready]
    Lead.objects.filter(id__in=ended).update(state=Lead.State.FINISHED, due_at=None)


def _fields(lead: Lead) -> dict[str, str]:
    return {**lead.fields, "email": lead.email}


def _conversations(leads: Sequence[Lead]) -> dict[int, list[OutMessage]]:
    """What each lead was sent so far, the oldest first."""
    rows = LeadMessage.objects.filter(lead__in=[lead for lead in leads if lead.step]).select_related("out")
    told: dict[int, list[OutMessage]] = {}
    for row in rows.order_by("step"):
        told.setdefault(row.lead_id, []).append(row.out)
    return told


def _draft(
    lead: Lead, step: Step, campaign: Campaign, mailbox: Mailbox, told: Sequence[OutMessage], now: datetime
) -> queue.Draft:
    fields = _fields(lead)
    subject = render(step.subject, fields)
    follows = () if subject or not told else _follows(told)
    unsubscribe = unsubscribe_url(lead)
    body = f"{render(step.body, fields)}\n\n--\nUnsubscribe: {unsubscribe}\n"
    return queue.Draft(
        mailbox=mailbox,
        purpose=OutMessage.Purpose.CAMPAIGN,
        recipient=lead.email,
        subject=" ".join((subject or _again(told)).split()),
        body=body,
        html=_html(body, opens_url(lead)) if campaign.track_opens else "",
        headers={"List-Unsubscribe": f"<{unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        follows=follows,
        due_at=now,
    )


def _follows(told: Sequence[OutMessage]) -> tuple[str, ...]:
    """The conversation's Message-IDs: its first, and its last ones."""
    ids = [row.message_id for row in told if row.thread == told[-1].thread]
    return tuple(ids if len(ids) <= MOST_FOLLOWED else [ids[0], *ids[1 - MOST_FOLLOWED :]])


def _again(told: Sequence[OutMessage]) -> str:
    subject = told[-1].subject if told else ""
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"


def _html(body: str, picture: str) -> str:
    paragraphs = "".join(f"<p>{_lines(part)}</p>" for part in body.split("\n\n"))
    return f'<html><body>{paragraphs}<img src="{picture}" width="1" height="1" alt=""></body></html>'


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")
