"""The one room of secrets (SPEC S1). Nothing outside `health.targets`, `health.tokens` and `reconnect` reads it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from mailboxes.models.fields import SecretTextField
from mailboxes.models.mailbox import Mailbox
from mailboxes.models.trial import Trial
from mailboxes.states import CredentialKind


class OAuthClient(models.Model):
    """Our own registration at a provider. One secret for all its mailboxes: referenced, never copied."""

    name = models.SlugField(unique=True, help_text="“google” or “microsoft”: the sign-in that it is for.")
    authorize_url = models.URLField(blank=True, default="", help_text="Where the customer consents.")
    token_url = models.URLField()
    identity_url = models.URLField(
        blank=True, default="", help_text="Google: user info. Microsoft: OpenID configuration."
    )
    revoke_url = models.URLField(blank=True, default="", help_text="Where a grant is given back; empty where nowhere.")
    client_id = models.CharField(max_length=200)
    client_secret = SecretTextField(editable=False)
    mail_hosts = models.TextField(
        blank=True,
        default="",
        help_text="Mail servers that its access tokens may be sent to; .example.com for a domain.",
    )
    secret_expires_on = models.DateField(null=True, blank=True, help_text="As the provider's console says.")
    scopes = models.TextField(blank=True, help_text="Separated by spaces; what a refresh asks for.")

    class Meta:
        verbose_name = "OAuth client"

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Tokens and secrets go over TLS alone. Raises ValidationError naming the field."""
        urls = ("token_url", "identity_url", "revoke_url")
        given = {name: getattr(self, name) for name in urls if getattr(self, name)}
        bad = {name: "Must begin with https://." for name, url in given.items() if not url.startswith("https://")}
        if bad:
            raise ValidationError(bad)


class Credential(models.Model):
    """Password, app password or OAuth grant of one mailbox, encrypted. `version` rises at each replacement.

    `refresh_lease` and `refresh_lease_until` are held by the one worker that refreshes the grant.
    """

    mailbox = models.OneToOneField(Mailbox, on_delete=models.CASCADE, related_name="credential")
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in CredentialKind])
    version = models.PositiveIntegerField(default=1)
    destination = models.TextField(
        blank=True, default="", editable=False, help_text="Where its secrets may go: what was given with them (S7)."
    )
    replaced_at = models.DateTimeField(default=timezone.now)
    password = SecretTextField(null=True, editable=False)
    imap_password = SecretTextField(null=True, editable=False, help_text="Only where it differs from the other.")
    oauth_client = models.ForeignKey(OAuthClient, on_delete=models.PROTECT, null=True, blank=True)
    refresh_token = SecretTextField(null=True, editable=False)
    access_token = SecretTextField(null=True, editable=False)
    access_expires_at = models.DateTimeField(null=True, blank=True)
    scopes = models.TextField(blank=True, default="")
    identity = models.CharField(
        max_length=200, blank=True, default="", help_text="Google: sub. Microsoft: tid and oid."
    )
    identity_name = models.CharField(max_length=254, blank=True, default="", help_text="As whom its owner signed in.")
    refreshed_at = models.DateTimeField(null=True, blank=True)
    refresh_lease = models.CharField(max_length=36, blank=True, default="")
    refresh_lease_until = models.DateTimeField(null=True, blank=True)
    revoke_at = models.DateTimeField(null=True, blank=True, help_text="The mailbox was removed: to be given back then.")

    class Meta:
        indexes = [
            models.Index(fields=("revoke_at",), condition=Q(revoke_at__isnull=False), name="credential_revoke"),
            models.Index(fields=("identity",), condition=~Q(identity=""), name="credential_identity"),
        ]

    def __str__(self) -> str:
        return f"credential v{self.version} of mailbox {self.mailbox_id}"


class Candidate(models.Model):
    """The secrets of a trial, encrypted, until it is decided: minutes at most (SPEC C6)."""

    trial = models.OneToOneField(Trial, on_delete=models.CASCADE, primary_key=True, related_name="candidate")
    expires_at = models.DateTimeField()
    password = SecretTextField(null=True, editable=False)
    imap_password = SecretTextField(null=True, editable=False)
    refresh_token = SecretTextField(null=True, editable=False)
    access_token = SecretTextField(null=True, editable=False)
    access_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=("expires_at",), name="candidate_age")]

    def __str__(self) -> str:
        return f"candidate of trial {self.trial_id}"
