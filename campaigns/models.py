"""Campaigns, as far as their mailboxes go: who sends is asked of the mailboxes' status at the moment of use."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mailboxes.models import Mailbox, Workspace


class Campaign(models.Model):
    """A sequence of messages to leads, sent by several mailboxes of one workspace."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused by a person"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="campaigns")
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=State.choices, default=State.DRAFT)
    mailboxes = models.ManyToManyField(Mailbox, related_name="campaigns", blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("workspace", "name"), name="campaign_name_once_per_workspace")]

    def __str__(self) -> str:
        return self.name
