"""Store what was tested: settings and credential on the same record, and the test as evidence (SPEC C6, R3, R4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cryptography.fernet import InvalidToken
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from mailboxes.health.evidence import from_report
from mailboxes.health.record import record
from mailboxes.models import AuditEntry, Candidate, CheckState, Credential, Mailbox, Trial
from mailboxes.ownership.asking import vouch
from mailboxes.reconnect.settings import SETTINGS, save
from mailboxes.reconnect.trials import credential_of
from mailboxes.reconnect.verdict import Finding
from mailboxes.states import CredentialKind, Source, Verdict
from mailboxes.wire.values import Leg, Report, Stage, Step

_CONSENTED = Report(Leg.OAUTH, (Step(Stage.TOKEN, True, 0, "", "access was granted just now"),))


class Gone(Exception):
    """The tested secrets are gone (after ten minutes), are stored already, or are somebody else's."""


def may_keep_checking(trial: Trial) -> bool:
    """True where the test could not tell, or was a test alone: it may be saved and checked on."""
    return trial.verdict in (Verdict.UNSURE, Verdict.PASSED) and trial.kept_at is None


def may_send_only(trial: Trial) -> bool:
    """True where SMTP works and IMAP fails: it may be saved for sending alone."""
    works = {leg["leg"]: all(step["ok"] for step in leg["steps"]) for leg in trial.legs}
    undecided = trial.verdict in (Verdict.UNSURE, Verdict.REFUSED) and trial.kept_at is None
    return undecided and works.get(Leg.SMTP, False) and works.get(Leg.IMAP) is False


def keep_tested(trial: Trial, findings: Iterable[Finding], *, begun_at: datetime, now: datetime) -> None:
    """Inside the caller's transaction: store it, and let the test count as evidence of the new credential."""
    mailbox = _store(trial, trial.place, trial.asked_by, now)
    version = Credential.objects.values_list("version", flat=True).get(mailbox=mailbox)
    reports = [finding.without_lateness() for finding in findings]
    if reports and trial.kind == CredentialKind.OAUTH:
        reports.append(_CONSENTED)
    evidence = [
        from_report(
            report,
            mailbox_id=mailbox.pk,
            source=Source.SAVE_TEST,
            credential_version=version,
            begun_at=begun_at,
            observed_at=now,
        )
        for report in reports
    ]
    record(evidence, now=now)


@transaction.atomic
def keep_anyway(trial: Trial, *, send_only: bool, acting_user: AbstractBaseUser, now: datetime) -> Mailbox:
    """The person's word after a test that could not tell, or "send only". Raises Gone where nothing is left to keep."""
    locked = Trial.objects.select_for_update().get(pk=trial.pk)
    if not (may_send_only(locked) if send_only else may_keep_checking(locked)):
        raise Gone
    place = dict(locked.place) | ({"wants_imap": False} if send_only else {})
    mailbox = _store(locked, place, acting_user, now)
    deed = "saved for sending only" if send_only else "saved unverified"
    AuditEntry.objects.create(actor_id=acting_user.pk, action=deed, mailbox=mailbox, at=now)
    return mailbox


def _store(trial: Trial, place: Mapping[str, Any], acting_user: AbstractBaseUser | None, now: datetime) -> Mailbox:
    try:
        candidate = Candidate.objects.filter(trial=trial, expires_at__gt=now).first()
    except InvalidToken:  # its key was lost within the ten minutes
        candidate = None
    if candidate is None:
        raise Gone
    mailbox = _mailbox(trial)
    _refuse_other_identity(mailbox, trial)
    changed = [name for name in (*SETTINGS, "provider") if name in place and getattr(mailbox, name) != place[name]]
    if mailbox.removed_at is not None:
        mailbox.removed_at = None
        changed.append("removed_at")
    for name in changed:
        if name in place:
            setattr(mailbox, name, place[name])
    credential = credential_of(trial, candidate)
    save(mailbox, changed=changed, credential=credential, acting_user=acting_user, now=now)
    if trial.vouched_by:
        vouch(mailbox, trial.vouched_by, now)
    candidate.delete()
    Trial.objects.filter(pk=trial.pk).update(kept_at=now, mailbox=mailbox)
    return mailbox


def _refuse_other_identity(mailbox: Mailbox, trial: Trial) -> None:
    """Raise Gone where another identity was pinned since the consent was judged (R2)."""
    list(CheckState.objects.select_for_update().filter(mailbox_id=mailbox.pk))
    pinned = Credential.objects.filter(mailbox_id=mailbox.pk).exclude(identity="").values_list("identity", flat=True)
    if trial.identity and any(identity != trial.identity for identity in pinned):
        raise Gone


def _mailbox(trial: Trial) -> Mailbox:
    """The trial's own, or the one of this address in the workspace (also a removed one: its history goes on), or a new
    one."""
    if trial.mailbox_id is not None:
        return Mailbox.objects.get(pk=trial.mailbox_id)
    known = Mailbox.objects.of_address(trial.address).filter(workspace_id=trial.workspace_id).first()
    return known or Mailbox(workspace_id=trial.workspace_id, address=trial.address)
