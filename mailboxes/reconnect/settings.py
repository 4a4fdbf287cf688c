"""A mailbox's settings changed or a new mailbox made by staff: one transaction, health starts over where it must."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from mailboxes.health.renewed import start_over
from mailboxes.models import AuditEntry, Mailbox
from mailboxes.reconnect.credentials import Password, replace

IDENTITY = ("workspace", "address", "provider")


@transaction.atomic
def save(
    mailbox: Mailbox,
    *,
    changed: Sequence[str],
    password: Password | None,
    acting_user: AbstractBaseUser | None,
    now: datetime,
) -> None:
    """Write only the named fields, so that a status moved meanwhile is not put back; then the password, if given."""
    is_new = mailbox.pk is None
    if is_new:
        mailbox.tenant = mailbox.address.rpartition("@")[2].lower()
        mailbox.save()
    elif changed:
        mailbox.save(update_fields=list(changed))
    user_id = acting_user.pk if acting_user else None
    action = "mailbox added" if is_new else "settings changed"
    if is_new or changed:
        detail = ", ".join(changed)[:200]
        AuditEntry.objects.create(actor_id=user_id, action=action, mailbox=mailbox, detail=detail, at=now)
    if password is not None:
        replace(mailbox, password, acting_user=acting_user, now=now)
    elif set(changed) - set(IDENTITY):
        start_over(mailbox.pk, now=now)
