"""Refresh grants, one worker at a time for each, the new tokens stored as soon as they come (SPEC H11).

The lock is a lease in the credential's row: it is taken and given back in short transactions, so that no network
call runs inside one, and a killed worker's lease ends by itself.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q

from mailboxes.health.outgoing import Outgoing
from mailboxes.health.targets import Grant, Subject
from mailboxes.models import Credential
from mailboxes.wire.runner import Job, stream
from mailboxes.wire.tokens import Refreshed, Tokens, refresh
from mailboxes.wire.values import Report

REFRESH_BEFORE = timedelta(minutes=5)
LEASE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One refresh: when it began, its report, and the access token where it passed."""

    begun_at: datetime
    report: Report
    access_token: str = field(default="", repr=False)


def is_stale(grant: Grant, now: datetime) -> bool:
    """True where the access token is missing or near its end."""
    return not grant.access_token or grant.access_expires_at is None or grant.access_expires_at - now < REFRESH_BEFORE


def refresh_all(
    subjects: Sequence[Subject], outgoing: Outgoing, start_by: float = math.inf
) -> Iterator[tuple[Subject, Attempt]]:
    """Refresh each grant whose lease is free; yield each as it comes, stored already.

    A grant that another worker is refreshing, or has just refreshed, is left out.
    """
    lease = str(uuid.uuid4())
    mine = _take(subjects, lease, outgoing.clock())
    jobs = [_job(subject, outgoing) for subject in subjects if subject.mailbox_id in mine]
    for subject, (begun_at, refreshed) in stream(jobs, outgoing.bounds, start_by):
        if _give_back(subject, lease, refreshed.tokens, outgoing.clock()):
            token = refreshed.tokens.access_token if refreshed.tokens else ""
            yield subject, Attempt(begun_at, refreshed.report, token)


def _job(subject: Subject, outgoing: Outgoing) -> Job[Subject, tuple[datetime, Refreshed]]:
    grant = subject.grant
    assert grant is not None

    async def work() -> tuple[datetime, Refreshed]:
        begun_at = outgoing.clock()
        return begun_at, await refresh(grant.client, grant.refresh_token, outgoing.tokens)

    return Job(subject, grant.client.token_url, work)


def _take(subjects: Iterable[Subject], lease: str, now: datetime) -> set[int]:
    """Lease the grants that are as they were read; one refreshed meanwhile has another expiry (the second look)."""
    wanted = {subject.mailbox_id: subject for subject in subjects if subject.grant}
    free = Q(refresh_lease_until__isnull=True) | Q(refresh_lease_until__lte=now)
    rows = Credential.objects.filter(free, mailbox_id__in=wanted)
    rows.update(refresh_lease=lease, refresh_lease_until=now + LEASE)
    held = Credential.objects.filter(refresh_lease=lease).values_list("mailbox_id", "version", "access_expires_at")
    mine = {key for key, version, expires in held if _as_read(wanted[key], version, expires)}
    Credential.objects.filter(refresh_lease=lease).exclude(mailbox_id__in=mine).update(
        refresh_lease="", refresh_lease_until=None
    )
    return mine


def _as_read(subject: Subject, version: int, access_expires_at: datetime | None) -> bool:
    assert subject.grant is not None
    return subject.credential_version == version and subject.grant.access_expires_at == access_expires_at


def _give_back(subject: Subject, lease: str, tokens: Tokens | None, now: datetime) -> bool:
    """Store what came, in the statement that ends the lease. False where the lease or the credential is gone:
    a grant replaced meanwhile is never overwritten."""
    mine = Credential.objects.filter(
        mailbox_id=subject.mailbox_id, refresh_lease=lease, version=subject.credential_version
    )
    if tokens is None:
        return bool(mine.update(refresh_lease="", refresh_lease_until=None))
    stored = {"access_token": tokens.access_token, "refreshed_at": now}
    stored |= {"refresh_token": tokens.refresh_token} if tokens.refresh_token else {}
    expires = now + timedelta(seconds=tokens.expires_in_s)
    return bool(mine.update(**stored, access_expires_at=expires, refresh_lease="", refresh_lease_until=None))
