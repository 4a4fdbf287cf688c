"""A mailbox's settings changed, or a new mailbox: one transaction, health starts over where it must."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F

from mailboxes.health.renewed import start_over
from mailboxes.models import AuditEntry, CheckState, Credential, Mailbox
from mailboxes.ownership.asking import start as start_confirmation
from mailboxes.reconnect.credentials import NewCredential, replace
from mailboxes.wire.values import Endpoint

SETTINGS = (
    "wants_smtp", "smtp_host", "smtp_port", "smtp_security", "smtp_username",
    "wants_imap", "imap_host", "imap_port", "imap_security", "imap_username", "imap_folder",
)  # fmt: skip


def server_settings(leg: str, place: Endpoint) -> dict[str, Any]:
    """A leg's server as settings; `health.targets.endpoint` reads them back."""
    return {f"{leg}_host": place.host, f"{leg}_port": place.port, f"{leg}_security": place.security.value}


# What may change without another login being tried.
BESIDE_THE_LOGIN = frozenset({"workspace", "provider"})


@transaction.atomic
def save(
    mailbox: Mailbox,
    *,
    changed: Sequence[str],
    credential: NewCredential | None,
    acting_user: AbstractBaseUser | None,
    now: datetime,
) -> None:
    """Write only the named fields, so that a status moved meanwhile is not put back; then the credential, if given."""
    is_new = mailbox.pk is None
    names = set(changed)
    if is_new or "address" in names:
        mailbox.tenant = mailbox.address.rpartition("@")[2].lower()
        names.add("tenant")
    if is_new:
        mailbox.save()
    else:
        # Check state before mailbox, as `record` locks them: the other order would deadlock with it.
        list(CheckState.objects.select_for_update().filter(mailbox=mailbox))
    if changed and not is_new:
        mailbox.save(update_fields=sorted(names))
    _audit(mailbox, is_new, changed, acting_user, now)
    start_confirmation(mailbox, now)
    if credential is not None:
        replace(mailbox, credential, acting_user=acting_user, now=now)
    elif set(changed) - BESIDE_THE_LOGIN:
        # Another login than before: what a check of the old one brings home late must count as old (H7).
        Credential.objects.filter(mailbox=mailbox).update(version=F("version") + 1)
        start_over(mailbox.pk, now=now)


def _audit(
    mailbox: Mailbox, is_new: bool, changed: Sequence[str], acting_user: AbstractBaseUser | None, now: datetime
) -> None:
    if is_new or changed:
        AuditEntry.objects.create(
            actor_id=acting_user.pk if acting_user else None,
            action="mailbox added" if is_new else "settings changed",
            mailbox=mailbox,
            detail=", ".join(changed)[:200],
            at=now,
        )
