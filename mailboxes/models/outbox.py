"""Messages on their way out: written once, sent at most once, and never lost (SPEC K4)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from mailboxes.models.mailbox import Mailbox


class OutMessage(models.Model):
    """One message to one recipient. Its Message-ID is fixed from the beginning; `mailboxes.outbox` alone moves `state`.

    A claim is a lease: `lease` names the sender, `on_wire_at` is set in the instant before MAIL FROM.
    """

    class Purpose(models.TextChoices):
        CAMPAIGN = "campaign", "Campaign"
        WARMUP = "warmup", "Warm-up"
        REPLY = "reply", "Written by a person"

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        CLAIMED = "claimed", "Being sent"
        ON_WIRE = "on_wire", "Handed over"
        SENT = "sent", "Sent"
        UNKNOWN = "unknown", "Unknown whether sent"
        REFUSED = "refused", "Refused"
        EXPIRED = "expired", "Given up"
        CANCELLED = "cancelled", "Cancelled"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="out_messages", db_index=False)
    peer = models.ForeignKey(
        Mailbox,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Warm-up: the mailbox that it goes to, as long as that one works (W2).",
    )
    purpose = models.CharField(max_length=8, choices=Purpose.choices)
    recipient = models.EmailField(max_length=254)
    subject = models.CharField(max_length=500)
    body = models.TextField()
    html = models.TextField(blank=True, default="")
    headers = models.JSONField(default=dict, help_text="Further header fields, name to value.")
    message_id = models.CharField(max_length=255, unique=True)
    in_reply_to = models.CharField(max_length=255, blank=True, default="")
    references = models.TextField(blank=True, default="")
    thread = models.CharField(max_length=500, db_index=True, help_text="The first Message-ID of its conversation.")

    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    withdrawn = models.BooleanField(default=False, help_text="Taken back: it goes out no more, if it has not gone yet.")
    lease = models.CharField(max_length=36, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    on_wire_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    text = models.CharField("server's words", max_length=500, blank=True, default="")
    bounced_at = models.DateTimeField(null=True, blank=True)
    bounce_text = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        verbose_name = "outgoing message"
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("due_at",), condition=Q(state="queued"), name="out_message_due"),
            models.Index(
                fields=("mailbox",), condition=Q(state__in=("queued", "claimed", "on_wire")), name="out_message_open"
            ),
            models.Index(
                fields=("lease_until",), condition=Q(state__in=("claimed", "on_wire")), name="out_message_under_way"
            ),
            models.Index(fields=("mailbox", "on_wire_at"), condition=Q(state="unknown"), name="out_message_unknown"),
            models.Index(fields=("mailbox", "purpose", "on_wire_at"), name="out_message_by_mailbox"),
            models.Index(fields=("recipient", "mailbox"), name="out_message_to"),
            models.Index(fields=("-created_at", "-id"), name="out_message_age"),
            models.Index(fields=("sent_at",), condition=Q(sent_at__isnull=False), name="out_message_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.recipient}"


class Pace(models.Model):
    """When a mailbox may send its next message: one at a time, spaced. Time spent away earns nothing (FACTS E12)."""

    mailbox = models.OneToOneField(Mailbox, on_delete=models.CASCADE, primary_key=True, related_name="pace")
    next_send_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"pace of mailbox {self.mailbox_id}"
