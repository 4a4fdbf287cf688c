"""Members of a workspace: invited by its owners, once, by a link that ends (SPEC U6); changed and
removed by them (SEC-8).

A workspace keeps an owner: whoever removes or demotes one locks the workspace's row first, so that two owners who
remove each other at once take turns, and the second one no longer may.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from mailboxes.models import AuditEntry, Invitation, Membership, Workspace

VALID_FOR = timedelta(days=7)
MOST_OPEN = 50
OWNER = Membership.Role.OWNER


class TooMany(Exception):
    """So many invitations are open that no more are sent."""


class Refused(Exception):
    """The text says why."""


LAST_OWNER = "A workspace needs an owner. Make another member an owner first."
NO_OWNER = "You are no longer an owner of this workspace."
ANOTHER_ADDRESS = "This invitation is for another address."


def open_invitations(now: datetime) -> QuerySet[Invitation]:
    """Those whose link works: not used, not ended, and their inviter is still an owner who may sign in."""
    inviter = Membership.objects.filter(
        workspace=OuterRef("workspace"), user=OuterRef("invited_by"), role=OWNER, user__is_active=True
    )
    return Invitation.objects.filter(Exists(inviter), accepted_at__isnull=True, expires_at__gt=now)


@transaction.atomic
def invite(workspace: Workspace, email: str, *, role: str, acting_user: User, now: datetime) -> tuple[Invitation, str]:
    """An invitation and its token, which is kept nowhere. One to the same address before ends. Raises TooMany."""
    open_now = open_invitations(now).filter(workspace=workspace)
    _end(Invitation.objects.filter(workspace=workspace, email__iexact=email), now)
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
    _note(acting_user, "member invited", email, f"{workspace.name}, as {role}", now)
    return invitation, token


def renew_token(invitation: Invitation) -> str:
    """A new token for its link, made where it is sent; the one before ends. It is kept nowhere but as a hash."""
    token = secrets.token_urlsafe(32)
    Invitation.objects.filter(pk=invitation.pk).update(token_hash=_hash(token))
    return token


def open_invitation(token: str, now: datetime) -> Invitation | None:
    """The invitation of a link; None for one that is used, ended or never was."""
    return open_invitations(now).select_related("workspace").filter(token_hash=_hash(token)).first()


def is_for(invitation: Invitation, user: User) -> bool:
    """Return whether the invited address is this person's: the one they sign in by, or that staff wrote down."""
    return invitation.email.lower() in (user.get_username().lower(), user.email.lower())


def users_of(invitation: Invitation) -> QuerySet[User]:
    """Return whoever has the invited address."""
    return User.objects.filter(Q(username__iexact=invitation.email) | Q(email__iexact=invitation.email))


@transaction.atomic
def accept(invitation: Invitation, user: User, *, now: datetime) -> Membership | None:
    """Take the place; None where the invitation was used or ended meanwhile. Raises Refused for another's."""
    if not is_for(invitation, user):
        raise Refused(ANOTHER_ADDRESS)
    _lock(invitation.workspace_id)
    if not open_invitations(now).filter(pk=invitation.pk).exists():
        return None
    if not Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True).update(accepted_at=now):
        return None
    place, is_new = Membership.objects.get_or_create(
        workspace=invitation.workspace, user=user, defaults={"role": invitation.role}
    )
    if not is_new and invitation.role == OWNER:
        place.role = invitation.role
        place.save(update_fields=["role"])
    _note(user, "invitation accepted", user.get_username(), f"{invitation.workspace.name}, as {place.role}", now)
    return place


@transaction.atomic
def sign_up(invitation: Invitation, password: str, *, now: datetime) -> User | None:
    """A new user for the invited address, and their place; None where the invitation was used meanwhile."""
    _lock(invitation.workspace_id)
    if users_of(invitation).exists():
        return None
    user = User.objects.create_user(username=invitation.email, email=invitation.email, password=password)
    if accept(invitation, user, now=now) is None:
        transaction.set_rollback(True)
        return None
    return user


@transaction.atomic
def withdraw(invitation: Invitation, *, acting_user: User, now: datetime) -> None:
    """The link ends."""
    _end(Invitation.objects.filter(pk=invitation.pk), now)
    _note(acting_user, "invitation withdrawn", invitation.email, invitation.workspace.name, now)


@transaction.atomic
def remove(place: Membership, *, acting_user: User, now: datetime) -> None:
    """Take the member out of the workspace, and end what they invited. Raises Refused."""
    found = _locked(place, acting_user)
    _keep_an_owner(found)
    end_invitations_by(found, now)
    note(found, "member removed", found.role, acting_user=acting_user, now=now)
    found.delete()


@transaction.atomic
def change_role(place: Membership, role: str, *, acting_user: User, now: datetime) -> None:
    """Make the member an owner, or an owner a member, whose invitations end. Raises Refused."""
    found = _locked(place, acting_user)
    if found.role == role:
        return
    if role != OWNER:
        _keep_an_owner(found)
        end_invitations_by(found, now)
    note(found, "role changed", f"{found.role} → {role}", acting_user=acting_user, now=now)
    found.role = role
    found.save(update_fields=["role"])


def end_invitations_by(place: Membership, now: datetime) -> None:
    """For whoever is no longer an owner: also if they become one again, their old links stay ended."""
    _end(Invitation.objects.filter(workspace=place.workspace, invited_by=place.user), now)


def note(place: Membership, action: str, detail: str, *, acting_user: User, now: datetime) -> None:
    """What was done to a member, for the audit log."""
    _note(acting_user, action, place.user.get_username(), f"{place.workspace.name}: {detail}", now)


def _locked(place: Membership, acting_user: User) -> Membership:
    """The place as it is now, while nobody else changes the workspace's members. Raises Refused."""
    _lock(place.workspace_id)
    rows = Membership.objects.filter(workspace=place.workspace_id)
    if not rows.filter(user=acting_user, role=OWNER).exists():
        raise Refused(NO_OWNER)
    found = rows.select_related("user", "workspace").filter(pk=place.pk).first()
    if found is None:
        raise Refused("This person is no longer a member.")
    return found


def _lock(workspace_id: int) -> None:
    """Whoever changes members takes turns."""
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)


def _keep_an_owner(leaving: Membership) -> None:
    """Raises Refused where nobody who can sign in would be an owner."""
    others = Membership.objects.filter(workspace=leaving.workspace, role=OWNER, user__is_active=True)
    if leaving.role == OWNER and not others.exclude(pk=leaving.pk).exists():
        raise Refused(LAST_OWNER)


def _end(invitations: QuerySet[Invitation], now: datetime) -> None:
    invitations.filter(accepted_at__isnull=True, expires_at__gt=now).update(expires_at=now)


def _note(actor: User, action: str, target: str, detail: str, now: datetime) -> None:
    AuditEntry.objects.create(actor=actor, action=action, target=target[:254], detail=detail[:500], at=now)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
