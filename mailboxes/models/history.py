"""Rows that are only added: status changes, failures, the audit log; and staff alarms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from mailboxes.models.mailbox import Mailbox


class StatusChange(models.Model):
    """One change of a mailbox's status or pause reason, with the evidence behind it (H8).

    `number` is the mailbox's state version after it: rows chain, and none can be written twice.
    """

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="status_changes")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    from_status = models.CharField(max_length=12)
    to_status = models.CharField(max_length=12)
    from_reason = models.CharField(max_length=32, blank=True, default="")
    to_reason = models.CharField(max_length=32, blank=True, default="")
    category = models.CharField(max_length=32, blank=True, default="")
    leg = models.CharField(max_length=5, blank=True, default="")
    stage = models.CharField(max_length=8, blank=True, default="")
    rule = models.CharField(max_length=64, blank=True, default="")
    text = models.CharField(max_length=500, blank=True, default="")
    source = models.CharField(max_length=16)
    credential_version = models.PositiveIntegerField(default=0)
    apart = models.BooleanField(default=False, help_text="Inside an incident, or asked for: no sign of flapping (H12).")

    class Meta:
        ordering = ("-at", "-number")
        indexes = [models.Index(fields=("-at", "-number"), name="status_change_age")]
        constraints = [
            models.UniqueConstraint(fields=("mailbox", "number"), name="status_change_once"),
            models.CheckConstraint(
                condition=~Q(from_status=F("to_status")) | ~Q(from_reason=F("to_reason")), name="status_change_changes"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class Failure(models.Model):
    """One observed failure of a leg. `ignored` says why it moved nothing (H7), or is empty."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="failures")
    at = models.DateTimeField()
    begun_at = models.DateTimeField()
    leg = models.CharField(max_length=5)
    stage = models.CharField(max_length=8)
    code = models.CharField(max_length=64, blank=True, default="")
    text = models.CharField(max_length=500, blank=True, default="")
    category = models.CharField(max_length=32)
    rule = models.CharField(max_length=64)
    actor = models.CharField(max_length=16)
    source = models.CharField(max_length=16)
    credential_version = models.PositiveIntegerField()
    ignored = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        ordering = ("-at", "-id")
        indexes = [
            models.Index(fields=("mailbox", "-at"), name="failure_by_mailbox"),
            models.Index(fields=("at",), name="failure_age"),
        ]

    def __str__(self) -> str:
        return f"{self.leg} {self.category}"


class OnlyAdded(Exception):
    """Rows of the audit log are neither changed nor deleted."""


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Rows are only added. Who and what keep the names that they have now: these outlive users and mailboxes (S9)."""

    def create(self, **values: Any) -> AuditEntry:
        """One row, with its names."""
        row = self.model(**values)
        _name([row])
        row.save(force_insert=True, using=self.db)
        return row

    def bulk_create(self, objs: Iterable[AuditEntry], *args: Any, **kwargs: Any) -> list[AuditEntry]:
        """Many rows, with their names; two queries more."""
        rows = list(objs)
        _name(rows)
        return super().bulk_create(rows, *args, **kwargs)

    def update(self, **values: Any) -> int:
        """Refused."""
        raise OnlyAdded

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refused."""
        raise OnlyAdded


class AuditEntry(models.Model):
    """Who did what, when. Append-only, written in the transaction of the deed; never a secret (FACTS D28)."""

    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    actor_name = models.CharField("by", max_length=150, blank=True, default="", db_index=True)
    action = models.CharField(max_length=40)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.SET_NULL, null=True, related_name="audit_entries")
    target = models.CharField("object", max_length=254, blank=True, default="", db_index=True)
    detail = models.CharField(max_length=500, blank=True, default="")

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit log"
        ordering = ("-at", "-id")
        indexes = [
            models.Index(fields=("-at", "-id"), name="audit_entry_age"),
            models.Index(fields=("action", "-at", "-id"), name="audit_entry_by_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} at {self.at:%Y-%m-%d %H:%M}"


def _name(rows: Sequence[AuditEntry]) -> None:
    """Write down what the actors and mailboxes are called, where the caller has not."""
    people = get_user_model().objects.in_bulk({row.actor_id for row in rows if row.actor_id and not row.actor_name})
    wanted = {row.mailbox_id for row in rows if row.mailbox_id and not row.target}
    boxes = Mailbox.objects.only("address").in_bulk(wanted)
    for row in rows:
        if row.actor_id in people:
            row.actor_name = people[row.actor_id].get_username()
        if row.mailbox_id in boxes:
            row.target = boxes[row.mailbox_id].address


class ReconnectRequest(models.Model):
    """Support asks the customer to reconnect (A5): it stands in their banner until the credential is replaced."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="reconnect_requests")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    note = models.CharField(max_length=200, blank=True, default="", help_text="What the customer reads beside it.")
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("mailbox",), condition=Q(answered_at__isnull=True), name="one_open_reconnect_request"
            )
        ]

    def __str__(self) -> str:
        return f"reconnect of mailbox {self.mailbox_id} asked for"


class StaffAlarm(models.Model):
    """A fault of our own: seen at once, and no customer is flagged for it (H9). At most one of a kind is open."""

    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=100, help_text="Which OAuth client, which worker.")
    text = models.CharField(max_length=500)
    opened_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    times_seen = models.PositiveIntegerField(default=1)
    closed_at = models.DateTimeField(null=True, blank=True)
    lifted_until = models.DateTimeField(null=True, blank=True, help_text="The cap on flags does not hold until then.")

    class Meta:
        ordering = ("-last_seen_at",)
        constraints = [
            models.UniqueConstraint(
                fields=("kind", "key"), condition=Q(closed_at__isnull=True), name="one_open_alarm_of_a_kind"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.key}"


class Version(models.Model):
    """A version of our own code, from the first sign of life of a worker that runs it (H9)."""

    fingerprint = models.CharField(max_length=40, primary_key=True)
    began_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.fingerprint[:8]


class Heartbeat(models.Model):
    """The last sign of life of one worker cluster."""

    name = models.CharField(max_length=100, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
