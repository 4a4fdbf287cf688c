"""Campaigns, their steps and leads. Who sends, and whether a campaign is held, is asked at the moment of use."""

from __future__ import annotations

from datetime import time

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from campaigns.calendar import check_zone
from campaigns.templating import check_template
from mailboxes.models import Mailbox, OutMessage, Workspace


class Campaign(models.Model):
    """A sequence of messages to leads, sent by several mailboxes of one workspace.

    `state` is what a person wants; a running one without anybody left to write to becomes finished (`changes.finish`).
    Whether it is held, for want of a mailbox that works, is a query (`campaigns.held`).
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused by a person"
        FINISHED = "finished", "Finished"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="campaigns")
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=State.choices, default=State.DRAFT)
    mailboxes = models.ManyToManyField(Mailbox, related_name="campaigns", blank=True)
    zone = models.CharField(
        "time zone", max_length=64, default="UTC", validators=[check_zone], help_text="As in Europe/Berlin."
    )
    window_from = models.TimeField("sends from", default=time(8))
    window_to = models.TimeField("sends until", default=time(18))
    on_weekends = models.BooleanField("also at weekends", default=False)
    daily_limit = models.PositiveSmallIntegerField(
        default=40,
        validators=[MinValueValidator(1)],
        help_text="Messages of one mailbox a day, in all its campaigns.",
    )
    spacing_minutes = models.PositiveSmallIntegerField(
        default=8,
        validators=[MinValueValidator(1)],
        help_text="Between two messages of a mailbox, give or take 30 %.",
    )
    move_after_days = models.PositiveSmallIntegerField(
        default=3,
        null=True,
        blank=True,
        validators=[MaxValueValidator(90)],
        help_text="A conversation leaves a mailbox that is broken for so many days; 0 at once, empty never.",
    )
    track_opens = models.BooleanField("count opens", default=False, help_text="Adds a picture to each message.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    chosen_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When it had its last turn.")
    changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("workspace", "name"), name="campaign_name_once_per_workspace")]
        indexes = [models.Index(fields=("chosen_at",), condition=Q(state="running"), name="campaign_running")]

    def __str__(self) -> str:
        return self.name


class Step(models.Model):
    """One message of the sequence. Without a subject it goes into the conversation of the step before it."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="steps")
    number = models.PositiveSmallIntegerField(validators=[MinValueValidator(1)])
    wait_days = models.PositiveSmallIntegerField(
        default=3, help_text="After the step before it; counts for nothing in the first step."
    )
    subject = models.CharField(max_length=200, blank=True, default="", validators=[check_template])
    body = models.TextField(validators=[check_template])

    class Meta:
        ordering = ("number",)
        constraints = [models.UniqueConstraint(fields=("campaign", "number"), name="step_number_once")]

    def __str__(self) -> str:
        return f"step {self.number}"


class Lead(models.Model):
    """A recipient of a campaign. `home` is the mailbox that first wrote to it; `step` the last one that was sent."""

    class State(models.TextChoices):
        NEW = "new", "Not written to yet"
        ACTIVE = "active", "Under way"
        HELD = "held", "Probably undeliverable"
        REPLIED = "replied", "Replied"
        BOUNCED = "bounced", "Bounced"
        REFUSED = "refused", "Refused"
        UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
        FINISHED = "finished", "Finished"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="leads", db_index=False)
    email = models.EmailField(max_length=254)
    fields = models.JSONField(default=dict, blank=True, help_text="What templates may name: first_name, company, …")
    place = models.PositiveIntegerField(help_text="In the order of the import.")
    state = models.CharField(max_length=12, choices=State.choices, default=State.NEW)
    home = models.ForeignKey(Mailbox, on_delete=models.SET_NULL, null=True, blank=True, related_name="leads")
    step = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(
        null=True,
        blank=True,
        default=timezone.now,
        help_text="When the next step is due; empty while one goes out.",
    )
    opened_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True, default="")
    lacks = models.CharField(
        max_length=500, blank=True, default="", help_text="What its next step needs and it has not: it waits (K1)."
    )

    class Meta:
        ordering = ("place",)
        constraints = [
            models.UniqueConstraint(fields=("campaign", "email"), name="lead_once_per_campaign"),
            models.UniqueConstraint(fields=("campaign", "place"), name="lead_place_once"),
        ]
        indexes = [
            models.Index(fields=("campaign", "place"), condition=Q(state="new"), name="lead_new"),
            models.Index(
                fields=("home", "due_at"), condition=Q(state="active", due_at__isnull=False), name="lead_follow_up"
            ),
            models.Index(fields=("campaign", "state"), name="lead_by_state"),
            models.Index(fields=("campaign", "due_at"), condition=Q(due_at__isnull=False), name="lead_due"),
            models.Index(fields=("email",), name="lead_email"),
        ]

    def __str__(self) -> str:
        return self.email


class LeadMessage(models.Model):
    """A step's message to a lead. The constraint is what keeps a step from being sent twice (K4)."""

    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="messages", db_index=False)
    step = models.PositiveSmallIntegerField()
    out = models.OneToOneField(OutMessage, on_delete=models.CASCADE, related_name="lead_message")
    settled = models.BooleanField(default=False, help_text="The lead knows what became of it.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("lead", "step"), name="lead_step_once")]
        indexes = [models.Index(fields=("id",), condition=Q(settled=False), name="lead_message_open")]

    def __str__(self) -> str:
        return f"step {self.step} to {self.lead_id}"


class AddressFault(models.Model):
    """A lead's address was said not to exist. `held`: in a burst of its domain, so that the lead waits a day (H9)."""

    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="+")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    domain = models.CharField(max_length=253)
    at = models.DateTimeField()
    held = models.BooleanField(default=False)
    tried_again = models.BooleanField(default=False, help_text="It was held, and goes on: another fault is final.")

    class Meta:
        indexes = [
            models.Index(fields=("domain", "at"), name="address_fault_domain"),
            models.Index(fields=("at",), condition=Q(held=True), name="address_fault_held"),
            models.Index(fields=("at",), condition=Q(held=False), name="address_fault_age"),
        ]

    def __str__(self) -> str:
        return f"{self.domain} at {self.at}"


class Suppression(models.Model):
    """An address that this workspace never writes to again."""

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
        BOUNCED = "bounced", "The address does not exist"
        COMPLAINED = "complained", "Reported our mail as spam"
        ADDED = "added", "Added by a person"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="suppressions")
    email = models.EmailField(max_length=254)
    reason = models.CharField(max_length=12, choices=Reason.choices, default=Reason.ADDED)
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-added_at",)
        constraints = [models.UniqueConstraint(fields=("workspace", "email"), name="suppression_once")]

    def __str__(self) -> str:
        return self.email
