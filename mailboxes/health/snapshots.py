"""Mailboxes as they stand, read for a decision: their check states locked, so that two workers take turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import BooleanField, Case, Value, When

from mailboxes.health.decide import Snapshot
from mailboxes.health.legs import unpack
from mailboxes.health.policy import Cause, Standing
from mailboxes.models import CheckState, Mailbox
from mailboxes.providers.presets import family
from mailboxes.states import CredentialKind, PauseReason, Status
from mailboxes.wire.values import Leg

_COLUMNS = (
    "id", "status", "status_since", "pause_reason", "state_version", "provider", "tenant", "wants_smtp", "wants_imap",
    "resting_until", "auth_failure_open", "settings_fault", "category", "actor", "cause_leg", "cause_stage",
    "cause_rule", "credential__version", "credential__kind", "credential__oauth_client__name",
)  # fmt: skip


def load(mailbox_ids: Iterable[int]) -> dict[int, Snapshot]:
    """Snapshots by id, inside the caller's transaction, in two queries. Missing and removed
    mailboxes are left out."""
    ids = list(mailbox_ids)
    states = CheckState.objects.select_for_update().filter(mailbox_id__in=ids).order_by("mailbox_id")
    by_id = {state.mailbox_id: state for state in states}
    one_secret = Case(
        When(credential__imap_password__isnull=True, then=Value(True)),
        default=Value(False),
        output_field=BooleanField(),
    )
    rows = Mailbox.objects.present().filter(id__in=list(by_id)).annotate(one_secret=one_secret).order_by()
    return {row["id"]: _snapshot(row, by_id[row["id"]]) for row in rows.values(*_COLUMNS, "one_secret")}


def _snapshot(row: dict[str, Any], state: CheckState) -> Snapshot:
    kind = CredentialKind(row["credential__kind"] or CredentialKind.PASSWORD)
    wanted = {Leg.SMTP: row["wants_smtp"], Leg.IMAP: row["wants_imap"], Leg.OAUTH: kind is CredentialKind.OAUTH}
    columns = {Leg.SMTP: state.smtp, Leg.IMAP: state.imap, Leg.OAUTH: state.oauth}
    return Snapshot(
        id=row["id"],
        state_version=row["state_version"],
        status_since=row["status_since"],
        provider=row["provider"],
        provider_family=family(row["provider"]),
        tenant=row["tenant"],
        credential_version=row["credential__version"] or 0,
        credential_kind=kind,
        oauth_client=row["credential__oauth_client__name"] or "",
        one_secret=row["one_secret"],
        standing=_standing(row),
        next_check_at=state.next_check_at,
        resting_until=row["resting_until"],
        use=state.use,
        legs={leg: unpack(columns[leg]) for leg in Leg if wanted[leg]},
    )


def _standing(row: dict[str, Any]) -> Standing:
    parts = (row["category"], row["actor"], row["cause_leg"], row["cause_stage"], row["cause_rule"])
    return Standing(
        status=Status(row["status"]),
        pause_reason=PauseReason(row["pause_reason"]),
        cause=Cause(*parts),
        auth_failure_open=row["auth_failure_open"],
        settings_fault=row["settings_fault"],
    )
