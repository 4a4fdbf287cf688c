"""Remove a mailbox (SPEC C9): work stops, secrets are wiped, its history stays; the grant is given back where nobody
else uses it (FACTS A10: at Google that ends every grant of the account to us)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet

from mailboxes.health.outgoing import Outgoing
from mailboxes.health.renewed import start_over
from mailboxes.models import (
    AskedCheck,
    AuditEntry,
    Candidate,
    CheckState,
    Credential,
    Mailbox,
    OAuthClient,
    ReconnectRequest,
)
from mailboxes.models.credential import SECRETS
from mailboxes.states import CredentialKind
from mailboxes.wire.tokens import revoke

AGAIN_AFTER = timedelta(minutes=5)
TRY_FOR = timedelta(hours=1)
BATCH = 20


@transaction.atomic
def remove(mailbox: Mailbox, *, acting_user: AbstractBaseUser, now: datetime) -> None:
    """Take the mailbox out of work for good. Its rows stay; adding the address again goes on with them. One that is
    removed already stays as it is."""
    list(CheckState.objects.select_for_update().filter(mailbox=mailbox))
    if not Mailbox.objects.present().filter(pk=mailbox.pk).exists():
        return
    start_over(mailbox.pk, now=now)
    CheckState.objects.filter(mailbox=mailbox).update(next_check_at=None)
    Mailbox.objects.filter(pk=mailbox.pk).update(removed_at=now, held_since=None, held_by=None, hold_reason="")
    Candidate.objects.filter(trial__mailbox=mailbox).delete()
    open_checks = AskedCheck.objects.filter(mailbox=mailbox, done_at__isnull=True)
    open_checks.update(done_at=now, note="The mailbox was removed.")
    ReconnectRequest.objects.filter(mailbox=mailbox, answered_at__isnull=True).update(answered_at=now)
    _wipe(mailbox, now)
    AuditEntry.objects.create(actor_id=acting_user.pk, action="mailbox removed", mailbox=mailbox, at=now)


def waiting(now: datetime) -> QuerySet[Credential]:
    """Grants of removed mailboxes that are to be given back."""
    return Credential.objects.filter(revoke_at__lte=now)


def revoke_waiting(outgoing: Outgoing) -> int:
    """Give back the grants that wait; each is wiped once it is gone, or after an hour of trying. Returns how many.

    What has come back to life meanwhile is left alone, and what somebody else lives by by now is wiped and not revoked.
    """
    closed = waiting(outgoing.clock()).defer(*SECRETS, "oauth_client__client_secret")
    rows = list(closed.select_related("mailbox", "oauth_client")[:BATCH])
    alone = [row for row in rows if row.mailbox.removed_at is not None and _is_ours_alone(row)]
    grants = [(row.oauth_client, row.opened("refresh_token")) for row in alone]
    answers = dict(zip((row.pk for row in alone), asyncio.run(_ask_all(grants, outgoing)), strict=True))
    return sum(_settle(row, gone=answers.get(row.pk, True), now=outgoing.clock()) for row in rows)


async def _ask_all(grants: Sequence[tuple[OAuthClient | None, str]], outgoing: Outgoing) -> list[bool]:
    """Side by side: a provider that hangs costs one deadline, whatever the number."""
    return await asyncio.gather(*(_ask(client, token, outgoing) for client, token in grants))


async def _ask(client: OAuthClient | None, token: str, outgoing: Outgoing) -> bool:
    if client is None or client.is_astray or not token:  # a token goes only to the address it was given for (S7)
        return False
    return await revoke(client.revoke_url, token, outgoing.tokens)


def _wipe(mailbox: Mailbox, now: datetime) -> None:
    closed = Credential.objects.select_related("oauth_client").defer(*SECRETS, "oauth_client__client_secret")
    credential = closed.filter(mailbox=mailbox).first()
    if credential is None:
        return
    if not _is_ours_alone(credential):
        credential.delete()
        return
    Credential.objects.filter(pk=credential.pk).update(revoke_at=now, access_token=None, access_expires_at=None)


def _is_ours_alone(credential: Credential) -> bool:
    """True for a grant that can be given back and that no other mailbox lives by, or is about to, in whatever
    workspace."""
    client = credential.oauth_client
    if credential.kind != CredentialKind.OAUTH or client is None or not client.revoke_url or not credential.identity:
        return False
    others = Credential.objects.filter(oauth_client=client, identity=credential.identity).exclude(pk=credential.pk)
    begun = Candidate.objects.filter(trial__oauth_client=client, trial__identity=credential.identity)
    return not others.filter(mailbox__removed_at__isnull=True).exists() and not begun.exists()


def _settle(credential: Credential, *, gone: bool, now: datetime) -> bool:
    """Wipe it, try again later, or leave it to the mailbox that lives again. True for a wiped one."""
    same = Credential.objects.filter(pk=credential.pk, revoke_at__isnull=False, version=credential.version)
    removed_at = credential.mailbox.removed_at
    if removed_at is None:
        same.update(revoke_at=None)
        return False
    if gone or now - removed_at > TRY_FOR:
        return bool(same.delete()[0])
    same.update(revoke_at=now + AGAIN_AFTER)
    return False
