"""Why a mailbox does not send or read at this moment, in a few words that a customer understands."""

from __future__ import annotations

from datetime import datetime

from mailboxes.models import Mailbox
from mailboxes.models.mailbox import is_confirmed
from mailboxes.states import Status
from mailboxes.wording import cause_words


def why_it_waits(mailbox: Mailbox, now: datetime) -> str:
    """Why it sends nothing now. Means nothing for a mailbox that can send."""
    if mailbox.removed_at is not None:
        return "it was removed"
    if not mailbox.wants_smtp:
        return "it is set up to read only"
    if stopped := why_it_stands_still(mailbox):
        return stopped
    if not Mailbox.objects.filter(is_confirmed(now), pk=mailbox.pk).exists():
        return "its address is not confirmed yet"
    if mailbox.resting_until is not None and mailbox.resting_until > now:
        return f"it rests at its provider's sending limit until {mailbox.resting_until:%-d %B, %H:%M} UTC"
    if mailbox.throttled_until is not None and mailbox.throttled_until > now:
        return f"its mail server wants no login until {mailbox.throttled_until:%-d %B, %H:%M} UTC"
    if mailbox.risk_until is not None and mailbox.risk_until > now:
        return f"it rests until {mailbox.risk_until:%-d %B, %H:%M} UTC, since too much of its mail came back"
    return "what has arrived meanwhile is read first"


def why_it_stands_still(mailbox: Mailbox) -> str:
    """Why it neither sends nor reads; "" where it works."""
    if mailbox.held_since is not None:
        return f"it is paused by support ({mailbox.hold_reason})" if mailbox.hold_reason else "it is paused by support"
    if mailbox.status == Status.CONNECTED:
        return ""
    return f"{mailbox.badge} ({cause_words(mailbox.category)})" if mailbox.category else mailbox.badge
