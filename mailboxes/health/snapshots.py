"""Mailboxes as they stand, read for a decision: their check states locked, so that two workers take turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import BooleanField, Case, Value, When

from mailboxes.health.budget import budget_key
from mailboxes.health.decide import Snapshot
from mailboxes.health.legs import unpack
from mailboxes.health.policy import MAIL_LEGS, Cause, Standing
from mailboxes.models import CheckState, Mailbox
from mailboxes.providers.presets import family
from mailboxes.states import CredentialKind, PauseReason, Status
from mailboxes.wire.values import Leg

_COLUMNS = (
    "id", "workspace_id", "address", "status", "status_since", "pause_reason", "state_version", "provider", "tenant",
    "wants_smtp", "wants_imap", "smtp_host", "imap_host", "smtp_username", "imap_username", "resting_until",
    "throttled_until", "auth_failure_open", "settings_fault", "category", "actor", "cause_leg", "cause_stage",
    "cause_rule", "credential__version", "credential__kind", "credential__oauth_client__name",
)  # fmt: skip


def load(mailbox_ids: Iterable[int]) -> dict[int, Snapshot]:
    """Snapshots by id, inside the caller's transaction, in two queries. Missing and removed
    mailboxes are left out."""
    states = CheckState.objects.select_for_update().filter(mailbox_id__in=list(mailbox_ids)).order_by("mailbox_id")
    return _load(states)


def look(mailbox_ids: Iterable[int]) -> dict[int, Snapshot]:
    """Return snapshots by id without a lock, for whoever writes nothing."""
    return _load(CheckState.objects.filter(mailbox_id__in=list(mailbox_ids)))


def _load(states: Iterable[CheckState]) -> dict[int, Snapshot]:
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
    version = row["credential__version"] or 0
    wanted = {Leg.SMTP: row["wants_smtp"], Leg.IMAP: row["wants_imap"], Leg.OAUTH: kind is CredentialKind.OAUTH}
    columns = {Leg.SMTP: state.smtp, Leg.IMAP: state.imap, Leg.OAUTH: state.oauth}
    return Snapshot(
        id=row["id"],
        state_version=row["state_version"],
        status_since=row["status_since"],
        provider=row["provider"],
        provider_family=family(row["provider"]),
        tenant=row["tenant"],
        credential_version=version,
        credential_kind=kind,
        oauth_client=row["credential__oauth_client__name"] or "",
        one_login=row["one_secret"] and _user_name(row, Leg.SMTP) == _user_name(row, Leg.IMAP),
        workspace_id=row["workspace_id"],
        domain=row["address"].rpartition("@")[2].lower(),
        scopes={leg: scope_of(leg, row) for leg in Leg if wanted[leg]},
        budget_keys={} if row["provider"] else {leg: _budget_key(row, leg) for leg in MAIL_LEGS if wanted[leg]},
        standing=_standing(row),
        next_check_at=state.next_check_at,
        last_check_at=state.last_check_at,
        resting_until=row["resting_until"],
        throttled_until=row["throttled_until"],
        use=state.use,
        legs={leg: unpack(columns[leg]) for leg in Leg if wanted[leg]},
    )


def scope_of(leg: Leg, row: Mapping[str, Any]) -> str:
    """Return what an incident of this leg is of: our OAuth client, the provider, or the host where none is known."""
    if leg is Leg.OAUTH:
        return f"client:{row['credential__oauth_client__name'] or ''}"
    if row["provider"]:
        return f"provider:{family(row['provider']) or row['provider']}"
    return f"host:{str(row[f'{leg.value}_host']).lower()}"


def _budget_key(row: Mapping[str, Any], leg: Leg) -> str:
    return budget_key(str(row[f"{leg.value}_host"]))


def _user_name(row: Mapping[str, Any], leg: Leg) -> str:
    return str(row[f"{leg.value}_username"] or row["address"])


def _standing(row: dict[str, Any]) -> Standing:
    parts = (row["category"], row["actor"], row["cause_leg"], row["cause_stage"], row["cause_rule"])
    return Standing(
        status=Status(row["status"]),
        pause_reason=PauseReason(row["pause_reason"]),
        cause=Cause(*parts),
        auth_failure_open=row["auth_failure_open"],
        settings_fault=row["settings_fault"],
    )
