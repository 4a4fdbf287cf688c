"""Recipients who are said not to exist, by domain: what a burst of them ended or suppressed is taken back and held for
a day (SPEC H9, the recipients' twin). Inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q

from campaigns.doubtful import resume
from campaigns.models import AddressFault, Lead, LeadMessage, Suppression
from mailboxes.health import alarms, risk
from mailboxes.health.numbers import in_force
from mailboxes.health.recipients import DomainCounts, is_burst
from mailboxes.models import OutMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import tempo

USUAL_DAYS = 7
KEPT = timedelta(days=USUAL_DAYS + 1)
MOST = 500
HELD_NOTE = "Its mail server says so of very many at once: probably a fault of the server. It is tried again in a day."


def note(lead_ids: Collection[int], now: datetime) -> None:
    """Write down that these leads' addresses are said not to exist; where it is a burst, take back what that did."""
    leads = Lead.objects.filter(id__in=lead_ids).select_related("campaign")
    rows = [
        AddressFault(lead=one, workspace_id=one.campaign.workspace_id, domain=_domain(one.email), at=now)
        for one in leads
    ]
    AddressFault.objects.bulk_create(rows)
    for domain in sorted({row.domain for row in rows}):
        if is_burst(counts_of(domain, now), in_force()):
            _hold(domain, now)


def counts_of(domain: str, now: datetime) -> DomainCounts:
    """Return what is counted of a recipients' domain. Two queries."""
    window = in_force().recipients_window
    lately = AddressFault.objects.filter(domain=domain, at__gt=now - window)
    found = lately.aggregate(
        recipients=Count("lead__email", distinct=True), workspaces=Count("workspace", distinct=True)
    )
    before = Q()
    for day in range(1, USUAL_DAYS + 1):
        ends = now - timedelta(days=day)
        before |= Q(at__gt=ends - window, at__lte=ends)
    usual = AddressFault.objects.filter(before, domain=domain).count() / USUAL_DAYS
    return DomainCounts(found["recipients"], found["workspaces"], usual)


def _hold(domain: str, now: datetime) -> None:
    since = now - in_force().recipients_window
    before = AddressFault.objects.filter(lead=OuterRef("lead"), tried_again=True)
    faults = AddressFault.objects.filter(~Exists(before), domain=domain, at__gt=since, held=False)
    ids = set(faults.values_list("lead_id", flat=True))
    ended = Lead.objects.filter(id__in=ids, state__in=(Lead.State.BOUNCED, Lead.State.REFUSED))
    leads = ended.select_for_update(of=("self",))
    held = list(leads.filter(ended_at__gt=since).select_related("campaign").order_by("id"))
    values = {"state": Lead.State.HELD.value, "note": HELD_NOTE, "ended_at": None}
    update_rows(Lead, [{"pk": one.pk, **values} for one in held])
    _permit({(one.campaign.workspace_id, one.email) for one in held}, since)
    _forgive([one.pk for one in held], since, now)
    AddressFault.objects.filter(lead__in=[one.pk for one in held], domain=domain, at__gt=since).update(held=True)
    text = f"{domain} says of very many addresses at once that they do not exist. They are held and tried in a day."
    alarms.open_alarm(alarms.RECIPIENTS, domain[:100], text, len(held), now)


def _permit(addresses: Collection[tuple[int, str]], since: datetime) -> None:
    """Take back the suppressions that the burst made."""
    emails = {email for _workspace, email in addresses}
    rows = Suppression.objects.filter(email__in=emails, reason=Suppression.Reason.BOUNCED, added_at__gt=since)
    mine = [key for key, *pair in rows.values_list("id", "workspace_id", "email") if tuple(pair) in addresses]
    Suppression.objects.filter(id__in=mine).delete()


def _forgive(lead_ids: Sequence[int], since: datetime, now: datetime) -> None:
    """The mailboxes that wrote to them are no risk for it."""
    outs = LeadMessage.objects.filter(lead__in=lead_ids, out__bounced_at__gt=since)
    mailboxes = dict(outs.values_list("out_id", "out__mailbox_id"))
    OutMessage.objects.filter(id__in=mailboxes).update(bounced_at=None)
    risk.reconsider(set(mailboxes.values()), since, now)


def release(now: datetime) -> int:
    """A day later the held leads go on, if nobody has decided meanwhile: another fault is a usual one. Old rows go.
    Returns how many leads go on."""
    over = now - tempo.lasting(in_force().recipients_held_for)
    faults = AddressFault.objects.select_for_update(skip_locked=True).filter(held=True, at__lte=over)
    rows: Mapping[int, int] = dict(faults.order_by("at").values_list("id", "lead_id")[:MOST])
    leads = Lead.objects.select_for_update(of=("self",)).filter(id__in=set(rows.values()), state=Lead.State.HELD)
    found = list(leads.order_by("id"))
    for lead in found:
        resume(lead, now, again=True)
    AddressFault.objects.filter(id__in=rows).update(held=False, tried_again=True)
    old = AddressFault.objects.filter(held=False, at__lt=now - KEPT).values_list("id", flat=True)[:MOST]
    AddressFault.objects.filter(id__in=list(old)).delete()
    return len(found)


def _domain(email: str) -> str:
    return email.rpartition("@")[2].lower()
