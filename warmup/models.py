"""Warm-up pools, their members, and each message that they exchange. A broken mailbox stays a member and is no peer:
`peers()` asks its status."""

from __future__ import annotations

import random
from datetime import datetime

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from mailboxes.models import InMessage, Mailbox, OutMessage
from mailboxes.wire.visits import Role
from warmup.ramp import Ramp


class Pool(models.Model):
    """Mailboxes that exchange warm-up mail, across workspaces."""

    name = models.CharField(max_length=200, unique=True)
    start = models.PositiveSmallIntegerField(
        "first day", default=5, validators=[MinValueValidator(1), MaxValueValidator(10)], help_text="Messages."
    )
    step = models.PositiveSmallIntegerField(
        "more each day", default=1, validators=[MinValueValidator(1), MaxValueValidator(2)], help_text="Messages."
    )
    ceiling = models.PositiveSmallIntegerField(
        "most a day", default=30, validators=[MinValueValidator(5), MaxValueValidator(50)], help_text="Messages."
    )
    answered_percent = models.PositiveSmallIntegerField(
        "answered", default=30, validators=[MaxValueValidator(100)], help_text="Of a hundred messages."
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def ramp(self) -> Ramp:
        """Its ramp."""
        return Ramp(self.start, self.step, self.ceiling)


def random_key() -> int:
    """A place in the pool's order, by which peers are picked."""
    return random.getrandbits(62)


class MemberQuerySet(models.QuerySet["PoolMember"]):
    """Who may exchange warm-up mail at this moment."""

    def peers(self, now: datetime | None = None) -> MemberQuerySet:
        """Active members whose mailbox can warm now."""
        return self.filter(Exists(Mailbox.objects.can_warm(now).filter(pk=OuterRef("mailbox"))), active=True)


class PoolMember(models.Model):
    """A mailbox's place in a pool. `next_at` is when it sends next; `key` is drawn anew each time it is picked."""

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="members", db_index=False)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="pool_memberships")
    active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    key = models.BigIntegerField(default=random_key, editable=False)
    next_at = models.DateTimeField(default=timezone.now, editable=False)
    days_sent = models.PositiveIntegerField(default=0, editable=False, help_text="Days on which it sent.")
    day = models.DateField(null=True, blank=True, editable=False, help_text="The day that the numbers are of.")
    sent_today = models.PositiveIntegerField(default=0, editable=False)
    received_today = models.PositiveIntegerField(default=0, editable=False)
    week = models.JSONField(default=dict, editable=False, help_text="Sent and received on the six days before, by day.")

    objects = MemberQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("pool", "mailbox"), name="pool_member_once")]
        indexes = [
            models.Index(fields=("pool", "key"), condition=Q(active=True), name="pool_member_key"),
            models.Index(fields=("next_at",), condition=Q(active=True), name="pool_member_due"),
        ]

    def __str__(self) -> str:
        return f"{self.mailbox} in {self.pool}"


class Exchange(models.Model):
    """One warm-up message between two members: where it was found, and what was done with it (W1)."""

    out = models.OneToOneField(OutMessage, on_delete=models.CASCADE, related_name="exchange")
    sender = models.ForeignKey(PoolMember, on_delete=models.CASCADE, related_name="sent", db_index=False)
    receiver = models.ForeignKey(PoolMember, on_delete=models.CASCADE, related_name="received", db_index=False)
    made_at = models.DateTimeField(default=timezone.now)
    is_answer = models.BooleanField(default=False)
    found = models.OneToOneField(InMessage, on_delete=models.SET_NULL, null=True, related_name="exchange")
    found_at = models.DateTimeField(null=True)
    placement = models.CharField(
        max_length=5, blank=True, default="", choices=[(Role.INBOX.value, "Inbox"), (Role.JUNK.value, "Junk")]
    )
    answered = models.BooleanField(default=False)
    settled = models.BooleanField(default=False, help_text="It is known what became of the message.")
    failed = models.CharField(max_length=500, blank=True, default="", help_text="Why it never came.")

    class Meta:
        ordering = ("-made_at", "-id")
        indexes = [
            models.Index(fields=("sender", "-made_at"), name="exchange_sent"),
            models.Index(fields=("receiver", "-made_at"), name="exchange_received"),
            models.Index(fields=("-made_at", "-id"), name="exchange_age"),
            models.Index(fields=("id",), condition=Q(settled=False), name="exchange_open"),
        ]

    def __str__(self) -> str:
        return f"warm-up message {self.out_id}"
