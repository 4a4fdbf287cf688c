"""Recovery and invitations: asked for by a page, limited, and sent by a worker (SPEC U6, S4).

A page does the same for a known and an unknown address, so that neither its answer nor its time tells them apart.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.template.loader import render_to_string
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from mailboxes import members
from mailboxes.limits import Limited, Rate, take_all
from mailboxes.links import public_link
from mailboxes.models import AccountMail, AuditEntry, Invitation, Workspace
from mailboxes.wire.clean import BadText
from mailboxes.wire.faults import log_fault

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
RECOVERY_BY_NETWORK = Rate("recovery asked by a network", 20, timedelta(hours=1))
RECOVERY_TO_ADDRESS = Rate("recovery to an address", 1, timedelta(minutes=5))
# An owner's invitations, also those withdrawn. A stranger's inbox is filled by nobody; it takes three workspaces of one
# mind to keep a fourth from inviting somebody for some hours.
INVITATIONS = Rate("invitations of a workspace", 50, DAY, "invitations")
INVITATIONS_TO_ADDRESS = Rate("invitations of a workspace to an address", 2, DAY, "invitations")
INVITATIONS_TO_ADDRESS_BY_ALL = Rate("invitations to an address", 5, DAY, "invitations")
LEASE = timedelta(minutes=2)
MOST_STARTS = 3


def ask_recovery(email: str, network: str | None, now: datetime) -> None:
    """Let a worker send the link, if anybody has this address. Above a limit nothing is sent."""
    address = email.lower()
    counted = [(RECOVERY_BY_NETWORK, network)] if network else []
    with contextlib.suppress(Limited):
        take_all([*counted, (RECOVERY_TO_ADDRESS, address)], now)
        AccountMail.objects.create(email=address, asked_at=now)


@transaction.atomic
def invite(workspace: Workspace, email: str, *, role: str, acting_user: User, now: datetime) -> Invitation:
    """Invite by mail alone: who reads the link shows that the address is theirs. Raises Limited and TooMany."""
    address = email.lower()
    take_all(
        [
            (INVITATIONS, str(workspace.pk)),
            (INVITATIONS_TO_ADDRESS, f"{workspace.pk}/{address}"),
            (INVITATIONS_TO_ADDRESS_BY_ALL, address),
        ],
        now,
    )
    invitation, _token = members.invite(workspace, address, role=role, acting_user=acting_user, now=now)
    AccountMail.objects.create(email=address, invitation=invitation, asked_at=now)
    return invitation


def waiting(now: datetime) -> QuerySet[AccountMail]:
    """Mail that no worker has leased."""
    return AccountMail.objects.filter(Q(claimed_until__isnull=True) | Q(claimed_until__lte=now))


def send_waiting(limit: int, now: datetime) -> int:
    """Send up to `limit` mails, the oldest first. Returns how many were tried. One that fails is tried three times."""
    claimed = _claim(limit, now)
    for mail in claimed:
        try:
            _send(mail, now)
        except (SMTPException, OSError, BadText) as error:  # its text may hold the address
            log_fault(logger, error, "a mail about an account was not sent (try %s)", mail.starts)
        else:
            mail.delete()
    return len(claimed)


@transaction.atomic
def _claim(limit: int, now: datetime) -> list[AccountMail]:
    rows = waiting(now)
    rows.filter(starts__gte=MOST_STARTS).delete()
    ids = list(rows.select_for_update(skip_locked=True).order_by("asked_at").values_list("id", flat=True)[:limit])
    AccountMail.objects.filter(id__in=ids).update(claimed_until=now + LEASE, starts=F("starts") + 1)
    return list(AccountMail.objects.filter(id__in=ids).select_related("invitation__workspace").order_by("asked_at"))


def _send(mail: AccountMail, now: datetime) -> None:
    if mail.invitation is not None:
        _send_invitation(mail.invitation, now)
        return
    for user in _users_of(mail.email):
        _send_recovery(user, mail.email, now)


def _send_invitation(invitation: Invitation, now: datetime) -> None:
    if not members.open_invitations(now).filter(pk=invitation.pk).exists():
        return
    link = public_link("invitation", members.renew_token(invitation))
    name = invitation.workspace.name
    words = f"You are invited to {name} on Postmend. The link works once, for a week:\n\n{link}\n"
    send_mail("Your invitation to Postmend", words, None, [invitation.email])


def _users_of(email: str) -> list[User]:
    """Who signs in with this address, or has it in their record."""
    found = User.objects.filter(Q(email__iexact=email) | Q(username__iexact=email), is_active=True)
    return [user for user in found if user.has_usable_password()]


def _send_recovery(user: User, email: str, now: datetime) -> None:
    key = urlsafe_base64_encode(force_bytes(user.pk))
    link = public_link("password_reset_confirm", key, default_token_generator.make_token(user))
    words = render_to_string("pages/recover_mail.txt", {"link": link})
    send_mail(render_to_string("pages/recover_subject.txt").strip(), words, None, [email])
    AuditEntry.objects.create(action="recovery link sent", target=user.get_username(), at=now)
