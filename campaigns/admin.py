"""Campaigns in the admin, and their panel on the mailbox's page."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse

from campaigns.models import Campaign
from mailboxes.admin.base import ModelAdmin
from mailboxes.models import Mailbox
from mailboxes.panels import Panel, register


@admin.register(Campaign)
class CampaignAdmin(ModelAdmin[Campaign]):
    list_display = ("name", "workspace", "state", "created_at")
    list_filter = ("state",)
    list_select_related = ("workspace",)
    search_fields = ("name",)
    autocomplete_fields = ("workspace", "mailboxes")


@register
def panel(mailbox: Mailbox) -> Panel:
    """The campaigns that this mailbox sends for."""
    lines = [
        (
            f"{campaign.name} ({campaign.get_state_display()})",
            reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
        )
        for campaign in mailbox.campaigns.all()
    ]
    return Panel("Campaigns", lines, "In no campaign.")
