"""The one room of secrets (SPEC S1). Nothing outside `health.targets`, `health.tokens` and `reconnect` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.fernet import InvalidToken
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from mailboxes.models.destination import client_destination
from mailboxes.models.fields import SecretTextField
from mailboxes.models.mailbox import Mailbox
from mailboxes.models.trial import Trial
from mailboxes.states import CredentialKind


class OAuthClientManager(models.Manager["OAuthClient"]):
    """Registrations, set up by their name."""

    def register(self, name: str, values: Mapping[str, Any]) -> OAuthClient:
        """Make or change the registration of this name. `values` are columns, its secret among them, which is given
        for the addresses that stand there."""
        client = self.defer("client_secret").filter(name=name).first() or OAuthClient(name=name)
        for column, value in values.items():
            setattr(client, column, value)
        client.give_secret(values["client_secret"])
        client.save()
        return client


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
    destination = models.TextField(
        blank=True,
        default="",
        editable=False,
        help_text="Where its secret may go: the addresses it was given for (S7).",
    )
    mail_hosts = models.TextField(
        blank=True,
        default="",
        help_text="Mail servers that its access tokens may be sent to; .example.com for a domain.",
    )
    secret_expires_on = models.DateField(null=True, blank=True, help_text="As the provider's console says.")
    scopes = models.TextField(blank=True, help_text="Separated by spaces; what a refresh asks for.")

    objects = OAuthClientManager()

    class Meta:
        verbose_name = "OAuth client"

    def __str__(self) -> str:
        return self.name

    def give_secret(self, secret: str) -> None:
        """Take this secret for the addresses as they are now; the caller saves."""
        self.client_secret = secret
        self.destination = client_destination(vars(self))

    @property
    def is_astray(self) -> bool:
        """Return whether an address was changed without its secret: nothing may be sent there then."""
        return self.destination != client_destination(vars(self))

    def clean(self) -> None:
        """Tokens and secrets go over TLS alone. Raises ValidationError naming the field."""
        urls = ("token_url", "identity_url", "revoke_url")
        given = {name: getattr(self, name) for name in urls if getattr(self, name)}
        bad = {name: "Must begin with https://." for name, url in given.items() if not url.startswith("https://")}
        if bad:
            raise ValidationError(bad)


SECRETS = ("password", "imap_password", "refresh_token", "access_token")


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

    def opened(self, name: str) -> str:
        """Return one of the SECRETS of a row that was read without them; "" where there is none, or no key opens it."""
        try:
            return getattr(self, name) or ""
        except InvalidToken:
            return ""


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
