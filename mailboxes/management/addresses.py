"""Mailboxes that a command is about: named on the command line, and cut into batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.conf import settings
from django.core.management.base import CommandError
from django.db.models.functions import Lower

from mailboxes.models import Mailbox


def by_address(addresses: Sequence[str]) -> list[int]:
    """Their ids. Raises CommandError naming those that are not there."""
    wanted = {address.lower() for address in addresses}
    lower = Mailbox.objects.present().annotate(lower=Lower("address"))
    found = list(lower.filter(lower__in=wanted).values_list("id", "address"))
    missing = wanted - {address.lower() for _id, address in found}
    if missing:
        raise CommandError(f"No mailbox with the address {', '.join(sorted(missing))}.")
    return [mailbox_id for mailbox_id, _address in found]


def cut(ids: Sequence[int]) -> Iterator[list[int]]:
    """Batches of what one worker takes at once."""
    size = settings.CHECK_BATCH
    return (list(ids[at : at + size]) for at in range(0, len(ids), size))
