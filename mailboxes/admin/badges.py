"""Badges and short texts of the admin."""

from __future__ import annotations

from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from mailboxes.models import Mailbox
from mailboxes.providers.presets import by_id
from mailboxes.states import Status

_COLOURS = {
    "Connected": "green",
    "Checking": "amber",
    "Reconnect required": "red",
    "Disconnected": "orange",
    "Check settings": "orange",
    "Not verified": "grey",
    "Resting": "amber",
}
CATEGORY_WORDS = {
    "auth_failed": "Wrong password or login",
    "app_password_required": "App password wanted",
    "oauth_revoked": "Access ended (OAuth)",
    "oauth_scope_missing": "Mail permission missing",
    "oauth_interaction_required": "Sign-in wanted",
    "oauth_client_misconfigured": "Our OAuth client",
    "tenant_smtp_disabled": "SMTP off for the organisation",
    "basic_auth_disabled": "Passwords no longer accepted",
    "imap_disabled": "IMAP switched off",
    "provider_block": "Blocked by the provider",
    "sending_limit": "Sending limit reached",
    "rate_limited": "Too many connections",
    "temporary": "Passing server fault",
    "dns_failure": "Server name not found",
    "connection_refused": "Connection refused",
    "unreachable": "Server not reachable",
    "timeout": "Server does not answer",
    "tls_certificate": "Certificate not valid",
    "tls_mismatch": "TLS setting does not fit",
    "protocol_mismatch": "Another service answers",
    "auth_unsupported": "No usable login offered",
    "folder_missing": "Folder missing",
    "folder_denied": "Folder not permitted",
    "recipient_rejected": "Recipient refused",
    "content_rejected": "Message refused",
    "unknown": "Not recognised",
}


def badge(label: str, url: str = "", title: str = "") -> SafeString:
    """A coloured badge, itself the link where there is one."""
    colour = _COLOURS.get(label, "grey")
    if url:
        return format_html('<a class="pm-badge pm-{}" href="{}" title="{}">{}</a>', colour, url, title, label)
    return format_html('<span class="pm-badge pm-{}" title="{}">{}</span>', colour, title, label)


def status_label(status: str) -> str:
    """A status as people read it."""
    plain = Mailbox(status=status or Status.UNVERIFIED)
    return str(plain.get_status_display())


def cause_words(category: str) -> str:
    """A category as people read it; a dash for none."""
    return CATEGORY_WORDS.get(category, "–")


def provider_name(provider: str) -> str:
    """A preset's name; "Other" where there is none."""
    preset = by_id(provider)
    return preset.name if preset else "Other"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in its largest unit: "3 minutes"."""
    if at is None:
        return "never"
    return "now" if (now - at).total_seconds() < 60 else timesince(at, now, depth=1).replace("\xa0", " ")
