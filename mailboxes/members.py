"""Members of a workspace: invited by its owner, once, by a link that ends (SPEC U6)."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction

from mailboxes.models import AuditEntry, Invitation, Membership, Workspace

VALID_FOR = timedelta(days=7)
MOST_OPEN = 50


class TooMany(Exception):
    """So many invitations are open that no more are sent."""


@transaction.atomic
def invite(workspace: Workspace, email: str, *, role: str, acting_user: User, now: datetime) -> tuple[Invitation, str]:
    """An invitation and its token, which is kept nowhere. One to the same address before ends. Raises TooMany."""
    open_now = Invitation.objects.filter(workspace=workspace, accepted_at__isnull=True, expires_at__gt=now)
    open_now.filter(email__iexact=email).update(expires_at=now)
    if open_now.count() >= MOST_OPEN:
        raise TooMany
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        workspace=workspace,
        email=email.lower(),
        role=role,
        token_hash=_hash(token),
        invited_by=acting_user,
        invited_at=now,
        expires_at=now + VALID_FOR,
    )
    AuditEntry.objects.create(actor=acting_user, action="member invited", detail=email[:200], at=now)
    return invitation, token


def renew_token(invitation: Invitation) -> str:
    """A new token for its link, made where it is sent; the one before ends. It is kept nowhere but as a hash."""
    token = secrets.token_urlsafe(32)
    Invitation.objects.filter(pk=invitation.pk).update(token_hash=_hash(token))
    return token


def open_invitation(token: str, now: datetime) -> Invitation | None:
    """The invitation of a link; None for one that is used, ended or never was."""
    rows = Invitation.objects.select_related("workspace").filter(token_hash=_hash(token), accepted_at__isnull=True)
    return rows.filter(expires_at__gt=now).first()


@transaction.atomic
def accept(invitation: Invitation, user: User, *, now: datetime) -> Membership | None:
    """Take the place; None where the invitation was used meanwhile."""
    if not Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True).update(accepted_at=now):
        return None
    place, is_new = Membership.objects.get_or_create(
        workspace=invitation.workspace, user=user, defaults={"role": invitation.role}
    )
    if not is_new and invitation.role == Membership.Role.OWNER:
        place.role = invitation.role
        place.save(update_fields=["role"])
    AuditEntry.objects.create(actor=user, action="invitation accepted", detail=invitation.workspace.name, at=now)
    return place


@transaction.atomic
def sign_up(invitation: Invitation, password: str, *, now: datetime) -> User | None:
    """A new user for the invited address, and their place; None where the invitation was used meanwhile."""
    user = User.objects.create_user(username=invitation.email, email=invitation.email, password=password)
    if accept(invitation, user, now=now) is None:
        transaction.set_rollback(True)
        return None
    return user


@transaction.atomic
def withdraw(invitation: Invitation, *, acting_user: User, now: datetime) -> None:
    """The link ends."""
    Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True).update(expires_at=now)
    AuditEntry.objects.create(actor=acting_user, action="invitation withdrawn", detail=invitation.email[:200], at=now)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
