"""How campaigns stand, counted for a whole page in a constant number of queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count

from campaigns.models import Campaign, Lead, LeadMessage

State = Lead.State


@dataclass
class Numbers:
    """One campaign's leads by state, and its messages by what became of them."""

    leads: dict[str, int] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    opened: int = 0

    @property
    def total(self) -> int:
        """All leads."""
        return sum(self.leads.values())

    @property
    def waiting(self) -> int:
        """Leads that nobody has written to yet, or that are under way."""
        return self.leads.get(State.NEW, 0) + self.leads.get(State.ACTIVE, 0)

    @property
    def sent(self) -> int:
        """Messages that a server took."""
        return self.messages.get("sent", 0)

    def of(self, state: str) -> int:
        """Leads in this state."""
        return self.leads.get(state, 0)

    @property
    def replied(self) -> int:
        """Leads who answered."""
        return self.of(State.REPLIED)

    @property
    def bounced(self) -> int:
        """Leads whose mail came back, or was refused."""
        return self.of(State.BOUNCED) + self.of(State.REFUSED)

    @property
    def held(self) -> int:
        """Leads that a report without proof calls undeliverable: a person decides."""
        return self.of(State.HELD)

    @property
    def unsubscribed(self) -> int:
        """Leads who want no more."""
        return self.of(State.UNSUBSCRIBED)


def numbers(campaigns: Iterable[Campaign]) -> dict[int, Numbers]:
    """Numbers by campaign, in two queries."""
    found = {one.pk: Numbers() for one in campaigns}
    leads = Lead.objects.filter(campaign__in=found).order_by().values("campaign", "state")
    for key, state, amount, opened in leads.annotate(n=Count("id"), opened=Count("opened_at")).values_list(
        "campaign", "state", "n", "opened"
    ):
        found[key].leads[state] = amount
        found[key].opened += opened
    messages = LeadMessage.objects.filter(lead__campaign__in=found).order_by().values("lead__campaign", "out__state")
    for key, state, amount in messages.annotate(n=Count("id")).values_list("lead__campaign", "out__state", "n"):
        found[key].messages[state] = amount
    return found


def waiting_for(mailbox_id: int) -> list[tuple[Campaign, int]]:
    """Campaigns with conversations that wait for this mailbox, and how many."""
    rows = Lead.objects.filter(home=mailbox_id, state=State.ACTIVE).order_by().values("campaign")
    counts = dict(rows.annotate(n=Count("id")).values_list("campaign", "n"))
    return [(one, counts[one.pk]) for one in Campaign.objects.filter(pk__in=counts)]
