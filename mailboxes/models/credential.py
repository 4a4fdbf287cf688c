"""The one room of secrets (SPEC S1). Nothing outside `health.targets`, `health.tokens` and `reconnect` reads it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mailboxes.models.fields import SecretTextField
from mailboxes.models.mailbox import Mailbox
from mailboxes.states import CredentialKind


class OAuthClient(models.Model):
    """Our own registration at a provider. One secret for all its mailboxes: referenced, never copied."""

    name = models.SlugField(unique=True)
    token_url = models.URLField()
    client_id = models.CharField(max_length=200)
    client_secret = SecretTextField(editable=False)
    scopes = models.TextField(blank=True, help_text="Separated by spaces; what a refresh asks for.")

    class Meta:
        verbose_name = "OAuth client"

    def __str__(self) -> str:
        return self.name


class Credential(models.Model):
    """Password, app password or OAuth grant of one mailbox, encrypted. `version` rises at each replacement.

    `refresh_lease` and `refresh_lease_until` are held by the one worker that refreshes the grant.
    """

    mailbox = models.OneToOneField(Mailbox, on_delete=models.CASCADE, related_name="credential")
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in CredentialKind])
    version = models.PositiveIntegerField(default=1)
    replaced_at = models.DateTimeField(default=timezone.now)
    password = SecretTextField(null=True, editable=False)
    imap_password = SecretTextField(null=True, editable=False, help_text="Only where it differs from the other.")
    oauth_client = models.ForeignKey(OAuthClient, on_delete=models.PROTECT, null=True, blank=True)
    refresh_token = SecretTextField(null=True, editable=False)
    access_token = SecretTextField(null=True, editable=False)
    access_expires_at = models.DateTimeField(null=True, blank=True)
    scopes = models.TextField(blank=True, default="")
    refreshed_at = models.DateTimeField(null=True, blank=True)
    refresh_lease = models.CharField(max_length=36, blank=True, default="")
    refresh_lease_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"credential v{self.version} of mailbox {self.mailbox_id}"
