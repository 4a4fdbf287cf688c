"""New credentials are tested before they replace the stored ones (SPEC C5, C6): begun by a page, run by a worker.

The secrets wait encrypted in `Candidate`, for minutes; the row of the trial is queue, progress and result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Q, QuerySet

from mailboxes.limits import Limited
from mailboxes.models import AuditEntry, Candidate, Mailbox, Trial, Workspace
from mailboxes.reconnect.credentials import NewCredential, NewGrant, Password
from mailboxes.reconnect.fingerprints import fingerprint
from mailboxes.reconnect.limits import refuse_too_many, refuse_too_many_consents
from mailboxes.states import CredentialKind, Verdict
from mailboxes.wire.clean import refuse_control

KEPT_FOR = timedelta(minutes=10)
LEASE = timedelta(seconds=90)
MOST_STARTS = 2
SUPERSEDED = "You signed in once more meanwhile: that sign-in is tested instead."
GAVE_UP = "The test never ended. Nothing was changed: test again."


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be tested: for which mailbox (None for a new one), where, and with what."""

    workspace: Workspace
    address: str
    place: Mapping[str, Any]
    credential: NewCredential = field(repr=False)
    mailbox: Mailbox | None = None
    source_ip: str | None = None
    test_only: bool = False
    must_arrive: bool = False
    vouched_by: str = ""


@transaction.atomic
def begin(wish: Wish, *, acting_user: AbstractBaseUser, now: datetime) -> Trial:
    """Put the test into the queue. Raises Limited (S4), and BadText for a control character in a secret (S3).

    A new grant is never refused for a limit: its consent would be lost. It waits in the queue until `begins_at`.
    """
    _lock_counted(wish.workspace, acting_user)
    trial = Trial(
        workspace=wish.workspace,
        mailbox=wish.mailbox,
        address=wish.address,
        place=dict(wish.place),
        asked_by_id=acting_user.pk,
        source_ip=wish.source_ip,
        test_only=wish.test_only,
        must_arrive=wish.must_arrive,
        vouched_by=wish.vouched_by,
        asked_at=now,
        **_public(wish),
    )
    if isinstance(wish.credential, Password):
        refuse_too_many(trial, now)
    else:
        _postpone(trial, now)
    trial.save(force_insert=True)
    Candidate.objects.create(trial=trial, expires_at=now + KEPT_FOR, **_secrets(wish.credential))
    AuditEntry.objects.create(
        actor_id=acting_user.pk, action="credential test asked", mailbox=wish.mailbox, detail=wish.address[:200], at=now
    )
    return trial


def _lock_counted(workspace: Workspace, user: AbstractBaseUser) -> None:
    """Hold whose tests are counted, in this order: two tests at once are counted one after the other."""
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    get_user_model().objects.select_for_update(no_key=True).get(pk=user.pk)


def _postpone(trial: Trial, now: datetime) -> None:
    """Let a grant too many begin later; one that waits for the same mailbox already gives way to it."""
    try:
        refuse_too_many_consents(trial, now)
    except Limited as limited:
        trial.begins_at = limited.until
        older = Trial.objects.filter(workspace=trial.workspace, address__iexact=trial.address, begins_at__gt=now)
        Candidate.objects.filter(trial__in=older.filter(done_at__isnull=True)).delete()
        older.filter(done_at__isnull=True).update(done_at=now, verdict=Verdict.UNSURE, note=SUPERSEDED)


def waiting(now: datetime) -> QuerySet[Trial]:
    """Tests that may begin now, and that no worker has leased."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    may_begin = Q(begins_at__isnull=True) | Q(begins_at__lte=now)
    return Trial.objects.filter(free, may_begin, done_at__isnull=True)


def expired(now: datetime) -> QuerySet[Candidate]:
    """Secrets whose time is over."""
    return Candidate.objects.filter(expires_at__lte=now)


@transaction.atomic
def claim(limit: int, now: datetime) -> list[Trial]:
    """Lease up to `limit` tests, the oldest first, and wipe what nobody decided on in time."""
    expired(now).delete()
    rows = waiting(now)
    rows.filter(Q(starts__gte=MOST_STARTS) | Q(candidate__isnull=True)).update(
        done_at=now, verdict=Verdict.UNSURE, note=GAVE_UP
    )
    leased = rows.select_for_update(skip_locked=True).order_by("asked_at").values_list("id", flat=True)
    ids = list(leased[:limit])
    Trial.objects.filter(id__in=ids).update(claimed_until=now + LEASE, starts=F("starts") + 1)
    found = Trial.objects.filter(id__in=ids).select_related("oauth_client").defer("oauth_client__client_secret")
    return list(found.order_by("asked_at"))


@transaction.atomic
def discard(trial: Trial) -> None:
    """The person has decided against it: the secrets go at once."""
    Candidate.objects.filter(trial=trial).delete()


def _public(wish: Wish) -> dict[str, Any]:
    new = wish.credential
    if isinstance(new, Password):
        return {"kind": CredentialKind.PASSWORD, "fingerprint": fingerprint(wish.address, wish.place, new)}
    return {
        "kind": CredentialKind.OAUTH,
        "oauth_client": new.client,
        "identity": new.identity,
        "identity_name": new.identity_name,
        "scopes": new.scopes,
    }


def _secrets(new: NewCredential) -> dict[str, Any]:
    if isinstance(new, Password):
        return {
            "password": refuse_control(new.password or "", "password"),
            "imap_password": refuse_control(new.imap_password, "IMAP password") or None,
        }
    return {
        "refresh_token": refuse_control(new.refresh_token, "refresh token"),
        "access_token": refuse_control(new.access_token, "access token"),
        "access_expires_at": new.access_expires_at,
    }


def credential_of(trial: Trial, candidate: Candidate) -> NewCredential:
    """The credential that was tested, as `replace` takes it."""
    if trial.kind == CredentialKind.PASSWORD:
        return Password(candidate.password or "", candidate.imap_password or "")
    assert trial.oauth_client is not None
    return NewGrant(
        client=trial.oauth_client,
        refresh_token=candidate.refresh_token or "",
        scopes=trial.scopes,
        identity=trial.identity,
        identity_name=trial.identity_name,
        access_token=candidate.access_token or "",
        access_expires_at=candidate.access_expires_at,
    )
