"""Which lead is written to by which mailbox now. Pure: values in, values out (K1, K2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sender:
    """A mailbox that may send one message now, how many it has sent today, and the campaigns that may use it."""

    mailbox_id: int
    sent_today: int
    campaigns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """A lead whose next step is due. `home` is the mailbox that it must come from; None for any of the campaign's."""

    lead_id: int
    campaign_id: int
    home: int | None


def assign(senders: Iterable[Sender], dues: Sequence[Due], limits: Mapping[int, int]) -> dict[int, int]:
    """Mailbox by lead: one message a mailbox, none over its daily limit (by campaign). Conversations that have begun
    come first, as they are ordered; new ones go to the mailbox that has sent least today, in turn."""
    free = {sender.mailbox_id: sender for sender in sorted(senders, key=lambda one: (one.sent_today, one.mailbox_id))}
    chosen: dict[int, int] = {}
    for due in sorted(dues, key=lambda one: one.home is None):
        mailbox_id = _for(due, free, limits)
        if mailbox_id is not None:
            chosen[due.lead_id] = mailbox_id
            del free[mailbox_id]
    return chosen


def _for(due: Due, free: Mapping[int, Sender], limits: Mapping[int, int]) -> int | None:
    candidates = [due.home] if due.home is not None else list(free)
    for mailbox_id in candidates:
        sender = free.get(mailbox_id)
        if sender and due.campaign_id in sender.campaigns and sender.sent_today < limits[due.campaign_id]:
            return mailbox_id
    return None
