"""Campaigns on the mailbox's page, and the held ones on the admin's first page (SPEC A4, K3, X5)."""

from __future__ import annotations

from django.db.models import Count
from django.http import HttpRequest

from campaigns.held import Held, held, where_held
from campaigns.models import Campaign, LeadMessage
from campaigns.numbers import waiting_for
from mailboxes.admin import tiles
from mailboxes.admin.badges import list_url, page_url
from mailboxes.admin.mail_panel import moment
from mailboxes.models import Mailbox, OutMessage
from mailboxes.panels import Panel, register
from mailboxes.states import Status

MOST_SHOWN = 20
_WAITING = (OutMessage.State.QUEUED, OutMessage.State.CLAIMED)


@register
def panel(mailbox: Mailbox) -> Panel:
    """The campaigns that this mailbox sends for, and what waits for it in each."""
    own = set(mailbox.campaigns.values_list("pk", flat=True))
    begun = [(one, amount) for one, amount in waiting_for(mailbox.pk) if one.pk in own]  # others' go on elsewhere
    conversations = {one.pk: amount for one, amount in begun}
    queued = _queued(mailbox)
    found = list(mailbox.campaigns.order_by("-state", "name")[: MOST_SHOWN + 1])
    shown = found[:MOST_SHOWN]
    reasons = held(shown)
    lines = [
        (_words(one, mailbox, reasons.get(one.pk), conversations.get(one.pk, 0), queued.get(one.pk, 0)), page_url(one))
        for one in shown
    ]
    if len(found) > MOST_SHOWN:
        lines.append(("and more", list_url("campaigns_campaign")))
    return Panel("Campaigns", lines, "In no campaign.", _resumes(begun))


def _queued(mailbox: Mailbox) -> dict[int, int]:
    """Messages that wait to be sent from this mailbox, by campaign."""
    rows = LeadMessage.objects.filter(out__mailbox=mailbox, out__state__in=_WAITING).order_by()
    counted = rows.values("lead__campaign").annotate(n=Count("id"))
    return dict(counted.values_list("lead__campaign", "n"))


def _words(campaign: Campaign, mailbox: Mailbox, why: Held | None, conversations: int, queued: int) -> str:
    works = mailbox.status == Status.CONNECTED and mailbox.held_since is None
    told = [state_words(campaign, why)]
    if conversations:
        told.append(f"{_count(conversations, 'conversation')} {'under way' if works else _waits(conversations)}")
    if queued:
        told.append(f"{_count(queued, 'message')} queued")
    reason = f". {why.reason}" if why else ""
    return f"{campaign.name}: {', '.join(told)}{reason}"


def _waits(conversations: int) -> str:
    return f"wait{'s' if conversations == 1 else ''} for this mailbox"


def state_words(campaign: Campaign, why: Held | None) -> str:
    """A campaign's state in a few words, small."""
    if why is None:
        return campaign.get_state_display().lower()
    return f"held since {moment(why.since)}" if why.since else "held"


def _resumes(begun: list[tuple[Campaign, int]]) -> str:
    """Of running campaigns alone: no other goes on by itself."""
    running = [amount for campaign, amount in begun if campaign.state == Campaign.State.RUNNING]
    if not running:
        return ""
    total = sum(running)
    return f"{_count(total, 'conversation')} in {_count(len(running), 'campaign')} {'goes' if total == 1 else 'go'} on"


def _count(amount: int, noun: str) -> str:
    return f"{amount} {noun}{'' if amount == 1 else 's'}"


@tiles.register
def held_campaigns(request: HttpRequest) -> tiles.Tile | None:
    if not request.user.has_perm("campaigns.view_campaign"):
        return None
    number = tiles.up_to(where_held(Campaign.objects.all()))
    return tiles.Tile(number, "Held campaigns", list_url("campaigns_campaign", doing="held"), alarming=number != "0")
