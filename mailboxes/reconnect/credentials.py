"""Replace a credential: the version rises, the grant or password is encrypted, health starts over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F

from mailboxes.health.renewed import start_over
from mailboxes.models import AuditEntry, CheckState, Credential, Mailbox, OAuthClient, ReconnectRequest
from mailboxes.models.destination import destination_of
from mailboxes.states import CredentialKind
from mailboxes.wire.clean import refuse_control


@dataclass(frozen=True, slots=True)
class Password:
    """A password or app password; a second one only where IMAP has its own. None keeps the stored one."""

    password: str | None = field(repr=False)
    imap_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class NewGrant:
    """An OAuth consent's tokens, and as whom it was given. Without a refresh token the stored one stays."""

    client: OAuthClient
    refresh_token: str = field(repr=False)
    scopes: str = ""
    identity: str = ""
    identity_name: str = ""
    access_token: str = field(default="", repr=False)
    access_expires_at: datetime | None = None


NewCredential = Password | NewGrant


@transaction.atomic
def replace(mailbox: Mailbox, new: NewCredential, *, acting_user: AbstractBaseUser | None, now: datetime) -> None:
    """Store the new credential in place of the old one, write the audit entry, make a check due. What support asked for
    is answered thereby.

    Raises BadText for a control character in a secret (SPEC S3), naming the field.
    """
    # Check state first, as `record` and `remove` lock: another order would deadlock with them.
    list(CheckState.objects.select_for_update().filter(mailbox=mailbox))
    no_lease = {"refresh_lease": "", "refresh_lease_until": None, "revoke_at": None}
    values = _values(new) | {"replaced_at": now} | no_lease
    if _is_whole(new):  # a part that is kept may go on to where it was given for, and nowhere else
        where = Mailbox.objects.get(pk=mailbox.pk)
        values["destination"] = destination_of(vars(where), _token_url(new))
    updated = Credential.objects.filter(mailbox=mailbox).update(version=F("version") + 1, **values)
    if not updated:
        Credential.objects.create(mailbox=mailbox, **values)
    AuditEntry.objects.create(
        actor_id=acting_user.pk if acting_user else None, action="credential replaced", mailbox=mailbox, at=now
    )
    ReconnectRequest.objects.filter(mailbox=mailbox, answered_at__isnull=True).update(answered_at=now)
    start_over(mailbox.pk, now=now)


def _is_whole(new: NewCredential) -> bool:
    return bool(new.refresh_token) if isinstance(new, NewGrant) else new.password is not None


def _token_url(new: NewCredential) -> str:
    return new.client.token_url if isinstance(new, NewGrant) else ""


def _values(new: NewCredential) -> dict[str, object]:
    if isinstance(new, NewGrant):
        return _grant_values(new)
    passwords: dict[str, object] = {"imap_password": refuse_control(new.imap_password, "IMAP password") or None}
    if new.password is not None:
        passwords["password"] = refuse_control(new.password, "password")
    no_grant = {"access_token": None, "access_expires_at": None, "oauth_client": None, "refresh_token": None}
    nobody = {"identity": "", "identity_name": "", "scopes": "", "refreshed_at": None}
    return no_grant | nobody | passwords | {"kind": CredentialKind.PASSWORD}


def _grant_values(new: NewGrant) -> dict[str, object]:
    values: dict[str, object] = {
        "kind": CredentialKind.OAUTH,
        "oauth_client": new.client,
        "scopes": new.scopes,
        "access_token": new.access_token or None,
        "access_expires_at": new.access_expires_at,
        "password": None,
        "imap_password": None,
    }
    if new.refresh_token:
        values["refresh_token"] = refuse_control(new.refresh_token, "refresh token")
    if new.identity:
        values |= {"identity": new.identity, "identity_name": new.identity_name}
    return values
