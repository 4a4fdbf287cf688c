"""Refresh grants, one worker at a time for each, the new tokens stored as soon as they come (SPEC H11).

The lock is a lease in the credential's row: it is taken and given back in short transactions, so that no network
call runs inside one, and a killed worker's lease ends by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from mailboxes.health.outgoing import Outgoing
from mailboxes.health.targets import Grant, Subject
from mailboxes.models import Credential
from mailboxes.models.restarts import retry_through_restart
from mailboxes.wire.tokens import Tokens, refresh
from mailboxes.wire.values import Report

REFRESH_BEFORE = timedelta(minutes=5)
LEASE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One refresh: when it began, its report, and the tokens where it passed."""

    begun_at: datetime
    report: Report
    tokens: Tokens | None

    @property
    def access_token(self) -> str:
        """The new access token; "" where the refresh failed."""
        return self.tokens.access_token if self.tokens else ""


def is_stale(grant: Grant, now: datetime) -> bool:
    """True where the access token is missing or near its end."""
    return not grant.access_token or grant.access_expires_at is None or grant.access_expires_at - now < REFRESH_BEFORE


class Lease:
    """The right to refresh some grants, held in their rows until each is given back or the lease ends by itself."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._id = str(uuid.uuid4())
        self._outgoing = outgoing

    def take(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Those whose lease was free, and which nobody has refreshed since they were read (the second look)."""
        mine = retry_through_restart(lambda: _take(subjects, self._id, self._outgoing.clock()))
        return [subject for subject in subjects if subject.mailbox_id in mine]

    async def refresh(self, subject: Subject) -> Attempt:
        """Ask the provider; never raises for its fault or the network's."""
        assert subject.grant is not None
        begun_at = self._outgoing.clock()
        refreshed = await refresh(subject.grant.client, subject.grant.refresh_token, self._outgoing.tokens)
        return Attempt(begun_at, refreshed.report, refreshed.tokens)

    def give_back(self, subject: Subject, attempt: Attempt) -> bool:
        """Store what came, in the statement that ends the lease. False where the lease or the credential is gone:
        a grant replaced meanwhile is never overwritten."""
        return retry_through_restart(lambda: _give_back(subject, self._id, attempt.tokens, self._outgoing.clock()))


def _take(subjects: Iterable[Subject], lease: str, now: datetime) -> set[int]:
    """Lease the grants that are as they were read; one refreshed meanwhile has another expiry."""
    wanted = {subject.mailbox_id: subject for subject in subjects if subject.grant}
    free = Q(refresh_lease_until__isnull=True) | Q(refresh_lease_until__lte=now)
    rows = Credential.objects.filter(mailbox_id__in=wanted)
    rows.filter(free).update(refresh_lease=lease, refresh_lease_until=now + LEASE)
    held = rows.filter(refresh_lease=lease).values_list("mailbox_id", "version", "access_expires_at")
    mine = {key for key, version, expires in held if _as_read(wanted[key], version, expires)}
    rows.filter(refresh_lease=lease).exclude(mailbox_id__in=mine).update(refresh_lease="", refresh_lease_until=None)
    return mine


def _as_read(subject: Subject, version: int, access_expires_at: datetime | None) -> bool:
    assert subject.grant is not None
    return subject.credential_version == version and subject.grant.access_expires_at == access_expires_at


def _give_back(subject: Subject, lease: str, tokens: Tokens | None, now: datetime) -> bool:
    # Who replaces the credential ends the lease as well, so that the lease alone says that it is the one we read.
    mine = Credential.objects.filter(mailbox_id=subject.mailbox_id, refresh_lease=lease)
    if tokens is None:
        return bool(mine.update(refresh_lease="", refresh_lease_until=None))
    stored = {"access_token": tokens.access_token, "refreshed_at": now}
    stored |= {"refresh_token": tokens.refresh_token} if tokens.refresh_token else {}
    expires = now + timedelta(seconds=tokens.expires_in_s)
    return bool(mine.update(**stored, access_expires_at=expires, refresh_lease="", refresh_lease_until=None))
