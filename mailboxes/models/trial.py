"""A test of new credentials before they are kept (SPEC C5, C6): queue, progress and result in one row, no secret."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from mailboxes.models.mailbox import Mailbox
from mailboxes.models.workspace import Workspace
from mailboxes.states import CredentialKind, Verdict


class Trial(models.Model):
    """`place` holds the settings to be tested (names as on Mailbox). `mailbox` is empty for a new one until it is kept.
    `fingerprint` is a keyed hash of the secret (`reconnect.fingerprints`)."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, null=True, related_name="trials", db_index=False)
    address = models.EmailField(max_length=254)
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in CredentialKind])
    place = models.JSONField(default=dict)
    oauth_client = models.ForeignKey("OAuthClient", on_delete=models.PROTECT, null=True, related_name="+")
    identity = models.CharField(max_length=200, blank=True, default="")
    identity_name = models.CharField(max_length=254, blank=True, default="")
    vouched_by = models.CharField(
        max_length=9, blank=True, default="", help_text="Who vouches that the address is theirs who consented (C10)."
    )
    scopes = models.TextField(blank=True, default="")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    source_ip = models.GenericIPAddressField(null=True)
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    test_only = models.BooleanField(default=False, help_text="Nothing is kept of it by itself (C5).")
    must_arrive = models.BooleanField(
        default=False, help_text="Somebody else signed in: the message has to arrive in this very mailbox."
    )
    asked_at = models.DateTimeField(default=timezone.now)
    begins_at = models.DateTimeField(null=True, help_text="A grant above the limit is tested then (S4).")
    claimed_until = models.DateTimeField(null=True)
    starts = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    verdict = models.CharField(
        max_length=8, blank=True, default="", choices=[(v.value, v.value) for v in Verdict if v.value]
    )
    kept_at = models.DateTimeField(null=True, help_text="When the credential was stored.")
    legs = models.JSONField(default=list, help_text="Each leg's steps.")
    folders = models.JSONField(default=list, help_text="The server's own list, where the folder did not open.")
    category = models.CharField(max_length=32, blank=True, default="")
    leg = models.CharField(max_length=5, blank=True, default="")
    stage = models.CharField(max_length=8, blank=True, default="")
    rule = models.CharField(max_length=64, blank=True, default="")
    text = models.CharField(max_length=500, blank=True, default="")
    note = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=("asked_at",), condition=Q(done_at__isnull=True), name="trial_open"),
            models.Index(fields=("workspace", "-asked_at"), name="trial_by_workspace"),
            models.Index(fields=("mailbox", "-asked_at"), name="trial_by_mailbox"),
            models.Index(fields=("asked_by", "-asked_at"), name="trial_by_user"),
            models.Index(fields=("source_ip", "-asked_at"), name="trial_by_network"),
            models.Index(fields=("asked_at",), name="trial_age"),
        ]

    def __str__(self) -> str:
        return f"test of {self.address} at {self.asked_at:%H:%M:%S}"
