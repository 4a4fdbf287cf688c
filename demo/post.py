"""`demo --once`, second part: mail moves for some days of a clock that is moved on; a table of what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings

from campaigns.held import held
from campaigns.models import Campaign, Lead, LeadMessage
from demo.rounds import MovedClock
from mailboxes.health.outgoing import Outgoing
from mailboxes.inbox.rounds import read_round, send_round
from mailboxes.models import InMessage, Mailbox, OutMessage
from mailboxes.ownership.sending import send_due
from mailboxes.sandbox.server import Sandbox
from warmup.models import Exchange, Pool

# Follow-ups are due after a day.
ROUNDS = tuple(timedelta(minutes=minutes) for minutes in (10, 25, 40, 60, 60 * 24, 20, 20, 20, 60 * 24, 20, 20))
MOST_BATCHES = 20
COLUMNS = ("of", "mailboxes", "sent", "received", "answered", "bounced", "junk", "held", "ok")


def run_post(sandbox: Sandbox, outgoing: Outgoing, clock: MovedClock) -> list[dict[str, Any]]:
    """Confirm addresses, read and send in turn; then one row a campaign and one a pool."""
    _all_of_it(lambda: send_due(settings.CHECK_BATCH, outgoing))
    for by in ROUNDS:
        clock.by += by
        _all_of_it(lambda: read_round(settings.CHECK_BATCH, outgoing))
        send_round(settings.CHECK_BATCH, outgoing)
    _all_of_it(lambda: read_round(settings.CHECK_BATCH, outgoing))
    return rows(sandbox)


def _all_of_it(batch: Any) -> None:
    for _batch in range(MOST_BATCHES):
        if not batch():
            return


def rows(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What became of the mail; `ok` where our count is that of the receiving servers, and nothing came twice."""
    arrived = Counter(one.message_id for one in sandbox.post_office.arrived)
    campaigns = list(Campaign.objects.order_by("workspace__name", "name"))
    waits = held(campaigns)
    found = [_campaign(one, arrived, waits[one.pk].reason if one.pk in waits else "") for one in campaigns]
    return found + [_pool(pool, arrived) for pool in Pool.objects.all()]


def _campaign(campaign: Campaign, arrived: Counter[str], reason: str) -> dict[str, Any]:
    messages = OutMessage.objects.filter(lead_message__lead__campaign=campaign)
    sent = list(messages.filter(sent_at__isnull=False).values_list("message_id", flat=True))
    responses = InMessage.objects.filter(answers__lead_message__lead__campaign=campaign)
    leads = campaign.leads
    return {
        "of": campaign.name,
        "mailboxes": _mailboxes(campaign.mailboxes.values_list("id", flat=True)),
        "sent": len(sent),
        "received": responses.count(),
        "answered": leads.filter(state=Lead.State.REPLIED).count(),
        "bounced": leads.filter(state=Lead.State.BOUNCED).count(),
        "junk": 0,
        "held": reason,
        "ok": _agree(sent, arrived) and not _written_after_answer(campaign),
    }


def _pool(pool: Pool, arrived: Counter[str]) -> dict[str, Any]:
    exchanges = Exchange.objects.filter(sender__pool=pool)
    sent = list(exchanges.filter(out__sent_at__isnull=False).values_list("out__message_id", flat=True))
    return {
        "of": pool.name,
        "mailboxes": _mailboxes(pool.members.values_list("mailbox_id", flat=True)),
        "sent": len(sent),
        "received": exchanges.filter(found__isnull=False).count(),
        "answered": exchanges.filter(answered=True).count(),
        "bounced": exchanges.exclude(failed="").filter(out__sent_at__isnull=False).count(),
        "junk": exchanges.filter(placement="junk").count(),
        "held": "",
        "ok": _agree(sent, arrived),
    }


def _mailboxes(ids: Iterable[int]) -> str:
    wanted = list(ids)
    return f"{Mailbox.objects.working().filter(id__in=wanted).count()} of {len(wanted)} work"


def _agree(sent: list[str], arrived: Counter[str]) -> bool:
    """Whatever we call sent was taken once."""
    return all(arrived[message_id] == 1 for message_id in sent)


def _written_after_answer(campaign: Campaign) -> bool:
    """True where somebody got a further step after their answer had been read."""
    answered = InMessage.objects.filter(answers__lead_message__lead__campaign=campaign, kind=InMessage.Kind.MESSAGE)
    for person, stored_at in answered.values_list("from_address", "stored_at"):
        later = LeadMessage.objects.filter(lead__campaign=campaign, lead__email=person, out__created_at__gt=stored_at)
        if later.exists():
            return True
    return False
