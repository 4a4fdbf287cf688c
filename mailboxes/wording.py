"""Short texts that support's and the customers' pages share."""

from __future__ import annotations

from datetime import datetime

from django.utils.timesince import timesince

from mailboxes.diagnosis.advice import Action, Advice, Place, advise, status_page
from mailboxes.diagnosis.categories import Category
from mailboxes.health import rules
from mailboxes.health.explaining import Explanation
from mailboxes.models import Mailbox
from mailboxes.providers.presets import by_id, family
from mailboxes.states import Status
from mailboxes.wire.values import Leg

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


def advice_for(mailbox: Mailbox, *, oauth: bool, explained: Explanation | None) -> Advice | None:
    """What to tell the customer; None where nothing is wrong. What an incident explains (`explain_one`) asks nobody to
    act (H9)."""
    if explained is not None:
        action = Action.UPDATE_CREDENTIALS if explained.needs_secret else Action.WAIT
        return Advice(explained.sentence, action, explained.steps, status_page(family(mailbox.provider)))
    if not mailbox.category:
        return None
    host = mailbox.imap_host if mailbox.cause_leg == Leg.IMAP else mailbox.smtp_host
    name = provider_name(mailbox.provider) if mailbox.provider else ""
    place = Place(mailbox.address, name, family(mailbox.provider), host, oauth)
    category = Category(mailbox.category)
    return advise(category, place, rules.variant(category, mailbox.cause_text))
