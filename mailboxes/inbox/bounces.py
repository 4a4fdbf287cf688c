"""Mail that came back: what a delivery report says, in the standard form or in a server's own words (FACTS E10)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from mailboxes.inbox.addresses import address_in, is_mail_server, sender
from mailboxes.inbox.automatic import has_automatic_subject, other_report, submitted_by_machine
from mailboxes.inbox.decoding import header_text, one_line
from mailboxes.inbox.parts import Part, header, param
from mailboxes.inbox.reports import Fields, blocks, first_id, quoted_id, returned_id
from mailboxes.inbox.worded import code_outcome, diagnostic_in, outcome_word, recipient_in, top_of

DIAGNOSTIC_CHARS = 500
_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\d|\.\d)")
_DIAGNOSTIC_TYPE = re.compile(r"\s{0,9}[\w-]{1,40}\s{0,9};")


class Outcome(StrEnum):
    """What became of a message. One that was delivered or passed on is no bounce."""

    FAILED = "failed"
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a report says about one recipient; "" where it does not say."""

    outcome: Outcome
    recipient: str
    status: str
    diagnostic: str
    original_message_id: str

    @property
    def is_permanent(self) -> bool:
        """Failed, and not for a passing reason."""
        return self.outcome is Outcome.FAILED and self.status[:1] in ("", "5")

    @property
    def is_of_the_address(self) -> bool:
        """The address does not exist, so nothing should be sent to it again (FACTS E11)."""
        return self.is_permanent and self.status.startswith("5.1.")


def bounce_of(message: Part, text: str) -> Bounce | None:
    """The bounce that `message` is, `text` being what a person reads in it; None for any other mail.

    The report's fields and the server's words are both read. Where the fields say what became of the message, that
    holds; the words tell what they leave out, and all where the fields cannot be read.
    """
    if other_report(message):
        return None
    groups = blocks(message)
    by_machine = _is_delivery_report(message) or _is_from_machine(message)
    # A person who answers may have the report attached; other mail with such a part is a report, whatever it calls
    # itself.
    groups = groups if by_machine or not header(message, "In-Reply-To") else []
    reported = _reported(message, groups, text)
    if reported is None and any(_has_arrived(fields) for fields in groups):
        return None
    if not by_machine or _is_for_a_person(message):
        return reported
    return _together(reported, _worded(message, [] if reported else groups, text))


def _together(reported: Bounce | None, worded: Bounce | None) -> Bounce | None:
    """What the fields say, with what they leave out told by words about the same recipient."""
    if reported is None or worded is None:
        return reported or worded
    if reported.recipient and worded.recipient not in ("", reported.recipient):
        return reported
    says_more = _says_nothing(reported.status) and worded.status[:1] in (reported.status[:1] or worded.status[:1])
    return replace(
        reported,
        recipient=reported.recipient or worded.recipient,
        status=worded.status if says_more and worded.status else reported.status,
        diagnostic=reported.diagnostic or worded.diagnostic,
    )


def _is_delivery_report(message: Part) -> bool:
    named = param(message, "report-type").lower()
    return message.get_content_type() == "multipart/report" and named in ("", "delivery-status")


def _is_from_machine(message: Part) -> bool:
    returns_nowhere = header(message, "Return-Path") == "<>" or bool(header(message, "X-Failed-Recipients"))
    return returns_nowhere or submitted_by_machine(message) or is_mail_server(header(message, "From"))


def _is_for_a_person(message: Part) -> bool:
    """An automatic reply may well say that it could not be delivered to somebody's desk."""
    answers = header(message, "Auto-Submitted").lower().startswith("auto-replied") or has_automatic_subject(message)
    return answers and not is_mail_server(header(message, "From")) and not header(message, "X-Failed-Recipients")


def _reported(message: Part, groups: list[Fields], text: str) -> Bounce | None:
    for outcome in Outcome:
        if fields := next((fields for fields in groups if _outcome(fields) is outcome), None):
            diagnostic = _diagnostic(fields)
            status = _status(fields.get("status", ""), diagnostic)
            return Bounce(outcome, _recipient(fields), status, diagnostic, _original(message, groups, text))
    return None


# What servers write for RFC 3464's "failed" and "delayed".
_ACTIONS = {
    "fail": Outcome.FAILED, "expire": Outcome.FAILED, "error": Outcome.FAILED, "undeliver": Outcome.FAILED,
    "reject": Outcome.FAILED, "bounce": Outcome.FAILED, "delay": Outcome.DELAYED, "defer": Outcome.DELAYED,
}  # fmt: skip
_CLASSES = {"5": Outcome.FAILED, "4": Outcome.DELAYED}


def _outcome(fields: Fields) -> Outcome | None:
    """By the action; where a report leaves it out, or writes one that nobody knows, by the status."""
    action = fields.get("action", "").strip().lower()
    known = next((outcome for word, outcome in _ACTIONS.items() if action.startswith(word)), None)
    if known or _has_arrived(fields) or not ("final-recipient" in fields or "original-recipient" in fields):
        return known
    return _CLASSES.get(fields.get("status", "")[:1])


def _has_arrived(fields: Fields) -> bool:
    """Whether a report says that the message was taken (RFC 3464 2.3.3)."""
    return fields.get("action", "").strip().lower().startswith(("deliver", "relay", "expand"))


def _recipient(fields: Fields) -> str:
    values = (fields.get(name, "").rpartition(";")[2] for name in ("final-recipient", "original-recipient"))
    return next(filter(None, map(address_in, values)), "")


def _diagnostic(fields: Fields) -> str:
    return one_line(_DIAGNOSTIC_TYPE.sub("", fields.get("diagnostic-code", ""), count=1), DIAGNOSTIC_CHARS)


def _status(told: str, diagnostic: str) -> str:
    """The status of the report; 5.0.0, which says nothing, gives way to the one in the server's reply."""
    status, replied = _first_status(told), _first_status(diagnostic)
    return replied if _says_nothing(status) and replied and replied[0] in (status or replied) else status


def _says_nothing(status: str) -> bool:
    return not status or status.endswith(".0.0")


def _first_status(text: str) -> str:
    found = _STATUS.search(text)
    return found.group() if found else ""


def _original(message: Part, groups: list[Fields], text: str) -> str:
    """The Message-ID of what came back. Exchange and Gmail answer it, so where nothing is returned that tells it."""
    told = next(filter(None, (fields.get("x-original-message-id", "") for fields in groups)), "")
    return returned_id(message) or first_id(told) or quoted_id(text) or first_id(header(message, "In-Reply-To"))


def _worded(message: Part, groups: list[Fields], text: str) -> Bounce | None:
    top = top_of(text)
    outcome = outcome_word(one_line(header_text(header(message, "Subject")), 200), top)
    if not outcome and _is_delivery_report(message):  # it says that it is one: a server's code is enough
        outcome = code_outcome(top)
    if not outcome:
        return None
    own = sender(header(message, "To"))[1]
    named = next(filter(None, map(_recipient, groups)), "") or address_in(header(message, "X-Failed-Recipients"))
    recipient = named or recipient_in(top, own)
    diagnostic = diagnostic_in(top, recipient, DIAGNOSTIC_CHARS)
    status = _first_status(diagnostic) or _first_status(top)
    return Bounce(Outcome(outcome), recipient, status, diagnostic, _original(message, groups, text))
