"""Support asks a customer to reconnect (SPEC A5): it stands in their banner; no email is sent (R6)."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from mailboxes.models import AuditEntry, Mailbox, ReconnectRequest


@transaction.atomic
def ask_to_reconnect(mailbox: Mailbox, *, note: str, acting_user: AbstractBaseUser, now: datetime) -> ReconnectRequest:
    """Ask, or say it anew where it is asked already. It ends when the credential is replaced."""
    values = {"asked_by_id": acting_user.pk, "asked_at": now, "note": note[:200]}
    asked, _ = ReconnectRequest.objects.update_or_create(mailbox=mailbox, answered_at=None, defaults=values)
    AuditEntry.objects.create(
        actor_id=acting_user.pk, action="reconnect requested", mailbox=mailbox, detail=note[:200], at=now
    )
    return asked


@transaction.atomic
def withdraw(mailbox: Mailbox, *, acting_user: AbstractBaseUser, now: datetime) -> None:
    """It is not needed any more."""
    if ReconnectRequest.objects.filter(mailbox=mailbox, answered_at__isnull=True).update(answered_at=now):
        AuditEntry.objects.create(actor_id=acting_user.pk, action="request withdrawn", mailbox=mailbox, at=now)
