"""Warm-up pools and their members. A broken mailbox stays a member and is no peer: `peers()` asks its status."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone

from mailboxes.models import Mailbox


class Pool(models.Model):
    """Mailboxes that exchange warm-up mail, across workspaces."""

    name = models.CharField(max_length=200, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class MemberQuerySet(models.QuerySet["PoolMember"]):
    """Who may exchange warm-up mail at this moment."""

    def peers(self, now: datetime | None = None) -> MemberQuerySet:
        """Active members whose mailbox can warm now."""
        return self.filter(active=True, mailbox__in=Mailbox.objects.can_warm(now))


class PoolMember(models.Model):
    """A mailbox's place in a pool."""

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="members")
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="pool_memberships")
    active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MemberQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("pool", "mailbox"), name="pool_member_once")]

    def __str__(self) -> str:
        return f"{self.mailbox} in {self.pool}"
