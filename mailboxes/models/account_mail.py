"""Mail of ours about an account, waiting for a worker: nothing of it is sent inside a request (SPEC U6)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mailboxes.models.workspace import Invitation


class AccountMail(models.Model):
    """An address that asked for a new password, whether it is known or not, or an invitation. The link's token is made
    when it is sent. A row goes with its mail."""

    email = models.EmailField(max_length=254)
    invitation = models.ForeignKey(Invitation, on_delete=models.CASCADE, null=True, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now, db_index=True)
    claimed_until = models.DateTimeField(null=True)
    starts = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"mail of {self.asked_at:%H:%M:%S}"
