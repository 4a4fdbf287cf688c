"""Complaints: a provider reports that a recipient called our mail spam (ARF, RFC 5965)."""

from __future__ import annotations

from dataclasses import dataclass

from mailboxes.inbox.addresses import address_in
from mailboxes.inbox.automatic import other_report
from mailboxes.inbox.decoding import one_line
from mailboxes.inbox.parts import Part
from mailboxes.inbox.reports import feedback, returned_header, returned_id

# "not-spam" (RFC 6430) takes a complaint back, "auth-failure" (RFC 6591) and "virus" are no word of a recipient.
_COMPLAINTS = ("abuse", "fraud", "other", "opt-out", "opt-out-list", "")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a complaint says; "" where it does not say."""

    feedback_type: str
    recipient: str
    original_message_id: str


def complaint_of(message: Part) -> Complaint | None:
    """Return the complaint that `message` is, or None."""
    if other_report(message) != "feedback-report":
        return None
    fields = feedback(message)
    kind = one_line(fields.get("feedback-type", ""), 40).lower()
    if kind not in _COMPLAINTS:
        return None
    told = (fields.get("original-rcpt-to", ""), fields.get("removal-recipient", ""), returned_header(message, "To"))
    recipient = next(filter(None, map(address_in, told)), "")
    return Complaint(kind, recipient, returned_id(message))
