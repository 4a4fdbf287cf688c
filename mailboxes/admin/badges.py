"""Badges of the admin, and links to what they speak of."""

from __future__ import annotations

from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

CONFIRM_ADDRESS = "Confirm address"
_COLOURS = {
    CONFIRM_ADDRESS: "amber",
    "Connected": "green",
    "Checking": "amber",
    "Reconnect required": "red",
    "Disconnected": "orange",
    "Check settings": "orange",
    "Resting": "amber",
    "Flapping": "amber",
    "Open": "orange",
    "Watched": "amber",
    "Resting: bounces": "amber",
    # messages
    "Sent": "green",
    "Being sent": "blue",
    "Handed over": "blue",
    "Unknown whether sent": "amber",
    "Refused": "red",
    "Given up": "red",
    "Bounce": "red",
    "Inbox": "green",
    "Junk": "orange",
    # campaigns, leads and warm-up
    "Running": "green",
    "Held": "orange",
    "Under way": "blue",
    "Replied": "green",
    "Bounced": "red",
    "Complaint": "red",
    "Probably undeliverable": "amber",
    "Unsubscribed": "orange",
    "Exchanges mail": "green",
    "Out for now": "amber",
    "Not found yet": "grey",
    "Failed": "red",
}


def colour_of(label: str) -> str:
    """A label's colour; grey for what is neither good nor bad."""
    return _COLOURS.get(label, "grey")


def badge(label: str, url: str = "", title: str = "") -> SafeString:
    """A coloured badge, itself the link where there is one."""
    if url:
        words = '<a class="pm-badge pm-{}" href="{}" title="{}">{}</a>'
        return format_html(words, colour_of(label), url, title, label)
    return format_html('<span class="pm-badge pm-{}" title="{}">{}</span>', colour_of(label), title, label)


def page_url(obj: Model) -> str:
    """The page of a row in the admin."""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])


def page_link(obj: Model | None) -> SafeString | str:
    """A link to the page of a row; a dash for none."""
    return format_html('<a class="pm-link" href="{}">{}</a>', page_url(obj), str(obj)) if obj is not None else "–"


def list_url(name: str, **query: object) -> str:
    """The list of a table ("mailboxes_outmessage"), filtered."""
    listed = reverse(f"admin:{name}_changelist")
    return f"{listed}?{urlencode(query)}" if query else listed
