"""Which lead is written to by which mailbox now. Pure: values in, values out (K1, K2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sender:
    """A mailbox that may send one message now. `sent_today` is how many it has sent on the present day of each campaign
    that may use it, by campaign: days begin at midnight in the campaign's zone."""

    mailbox_id: int
    sent_today: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Due:
    """A lead whose next step is due. `home` is the mailbox that it must come from; None for any of the campaign's."""

    lead_id: int
    campaign_id: int
    home: int | None


def assign(senders: Sequence[Sender], dues: Sequence[Due], limits: Mapping[int, int]) -> dict[int, int]:
    """Mailbox by lead: one message a mailbox, none over its daily limit (by campaign). Conversations that have begun
    come first, as they are ordered; new ones go to the mailbox that has sent least today, in turn."""
    free = {key: _in_turn(senders, key, limit) for key, limit in limits.items()}
    chosen: dict[int, int] = {}
    for due in sorted(dues, key=lambda one: one.home is None):
        fit = free[due.campaign_id]
        mailbox_id = next(iter(fit), None) if due.home is None else due.home
        if mailbox_id in fit:
            chosen[due.lead_id] = mailbox_id
            for others in free.values():
                others.pop(mailbox_id, None)
    return chosen


def _in_turn(senders: Sequence[Sender], campaign_id: int, limit: int) -> dict[int, int]:
    """The mailboxes that may still send for the campaign today, who has sent least first, with their counts."""
    counts = [(one.sent_today[campaign_id], one.mailbox_id) for one in senders if campaign_id in one.sent_today]
    return {mailbox_id: count for count, mailbox_id in sorted(counts) if count < limit}
