"""Incidents, and what they are read from: attempts counted by quarter minutes, and the failing ones of late (H9).

`health.incidents.store` is the only writer.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

ACTIVE = ("candidate", "open")


class LoginCount(models.Model):
    """Attempts of one leg at one provider (or host, OAuth client, way out of ours) in 15 seconds.

    Workspaces share sixteen buckets, so that busy workers seldom write the same row. `failure_class` is "" for what
    passed; `again` counts those whose leg had failed before, `worse` those that went out of work.
    """

    scope = models.CharField(max_length=260)
    leg = models.CharField(max_length=5)
    failure_class = models.CharField(max_length=12, blank=True, default="")
    slot = models.DateTimeField()
    bucket = models.PositiveSmallIntegerField()
    attempts = models.PositiveIntegerField(default=0)
    again = models.PositiveIntegerField(default=0)
    worse = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("scope", "leg", "slot", "failure_class", "bucket"), name="login_count_once")
        ]
        indexes = [models.Index(fields=("slot",), name="login_count_age")]

    def __str__(self) -> str:
        return f"{self.attempts} at {self.scope}"


class LoginSample(models.Model):
    """One failed attempt of the last quarter of an hour, while no incident explains it."""

    scope = models.CharField(max_length=260)
    leg = models.CharField(max_length=5)
    failure_class = models.CharField(max_length=12)
    at = models.DateTimeField()
    mailbox_id = models.BigIntegerField()
    group = models.CharField(max_length=260)
    domain = models.CharField(max_length=254)
    worse = models.BooleanField(default=False)
    text = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=("scope", "leg", "failure_class", "at"), name="login_sample_of_key"),
            models.Index(fields=("at",), name="login_sample_age"),
        ]

    def __str__(self) -> str:
        return f"{self.leg} {self.failure_class} at {self.scope}"


class Incident(models.Model):
    """Many mailboxes that fail alike. `started_at` is the first failure; at most one of a key is active."""

    scope = models.CharField(max_length=260, help_text="Provider, host, OAuth client, or our own way out.")
    leg = models.CharField(max_length=5)
    failure_class = models.CharField(max_length=12)
    phase = models.CharField(max_length=9, choices=[(name, name) for name in (*ACTIVE, "closed")])
    ours = models.BooleanField(default=False, help_text="A fault of our own: no mailbox is moved.")
    started_at = models.DateTimeField()
    changed_at = models.DateTimeField(default=timezone.now)
    opened_at = models.DateTimeField(null=True, blank=True)
    recovering_at = models.DateTimeField(null=True, blank=True)
    word = models.CharField(
        max_length=7,
        blank=True,
        default="",
        choices=[
            ("hold", "Hold until a person ends it"),
            ("release", "No incident"),
            ("rule", "Released after a day"),
            ("real", "Real after all"),
        ],
    )
    word_at = models.DateTimeField(null=True, blank=True)
    word_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    mailboxes = models.PositiveIntegerField(default=0, help_text="How many failed alike when it was last looked at.")
    workspaces = models.PositiveIntegerField(default=0)
    examples = models.JSONField(default=list, help_text="Servers' replies, cleaned, with how often each was seen.")
    told_at = models.DateTimeField(null=True, blank=True, help_text="Staff were told that it lasts over a day.")

    class Meta:
        ordering = ("-started_at",)
        constraints = [
            models.UniqueConstraint(
                fields=("scope", "leg", "failure_class"),
                condition=Q(phase__in=ACTIVE),
                name="one_active_incident_of_a_key",
            )
        ]
        indexes = [
            models.Index(fields=("-changed_at",), name="incident_age"),
        ]

    def __str__(self) -> str:
        return f"{self.scope.partition(':')[2]} ({self.leg.upper()}, {self.failure_class})"


class HostBudget(models.Model):
    """Refused logins of late at one mail host, and places taken by logins under way (`health.budget`, SPEC X6)."""

    host = models.CharField(max_length=253, primary_key=True)
    refused = models.JSONField(default=list)
    taken = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.host
