"""Badges of the admin."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString

_COLOURS = {
    "Connected": "green",
    "Checking": "amber",
    "Reconnect required": "red",
    "Disconnected": "orange",
    "Check settings": "orange",
    "Not verified": "grey",
    "Resting": "amber",
}


def badge(label: str, url: str = "", title: str = "") -> SafeString:
    """A coloured badge, itself the link where there is one."""
    colour = _COLOURS.get(label, "grey")
    if url:
        return format_html('<a class="pm-badge pm-{}" href="{}" title="{}">{}</a>', colour, url, title, label)
    return format_html('<span class="pm-badge pm-{}" title="{}">{}</span>', colour, title, label)
