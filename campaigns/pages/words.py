"""How a campaign's state is told."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User

from campaigns.held import Held
from campaigns.models import Campaign

COLOURS = {
    Campaign.State.DRAFT.value: "grey",
    Campaign.State.RUNNING.value: "green",
    Campaign.State.PAUSED: "amber",
    Campaign.State.FINISHED: "grey",
}


@dataclass(frozen=True, slots=True)
class Badge:
    """A state in a word, and its colour."""

    text: str
    colour: str


def badge(campaign: Campaign, held: Held | None, user: User) -> Badge:
    """Held is told before running; a pause with who made it. The person is loaded with the campaign."""
    if held is not None:
        return Badge("Held", "red")
    words = _paused(campaign, user) if campaign.state == Campaign.State.PAUSED else campaign.get_state_display()
    return Badge(words, COLOURS[campaign.state])


def _paused(campaign: Campaign, user: User) -> str:
    by = campaign.changed_by
    if by is None:
        return "Paused by a person"
    if by.pk == user.pk:
        return "Paused by you"
    return "Paused by support" if by.is_staff else f"Paused by {by.email or by.username}"
