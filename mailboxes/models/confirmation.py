"""Whether an address is its mailbox's own (SPEC C10). Written by `mailboxes.ownership` alone."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class AddressConfirmation(models.Model):
    """One mailbox under one address: it outlives reconnecting, and another address needs a row of its own.

    The code itself is stored nowhere: `code_hash` is keyed. `token` is the name in the signed header of its mail.
    """

    class By(models.TextChoices):
        """How it was confirmed."""

        ARRIVED = "arrived", "the code arrived in the mailbox"
        TYPED = "typed", "the code was typed in"
        GOOGLE = "google", "Google vouches for it"
        MICROSOFT = "microsoft", "Microsoft vouches for it"

    mailbox = models.ForeignKey(
        "mailboxes.Mailbox", on_delete=models.CASCADE, related_name="confirmations", db_index=False
    )
    address = models.CharField(max_length=254)
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.CharField(max_length=9, blank=True, default="", choices=By.choices)
    grace_until = models.DateTimeField(null=True, help_text="It works till then without being confirmed.")
    code_hash = models.CharField(max_length=64, blank=True, default="")
    token = models.CharField(max_length=100, blank=True, default="")
    expires_at = models.DateTimeField(null=True, help_text="The end of the code.")
    attempts = models.PositiveSmallIntegerField(default=0)
    send_at = models.DateTimeField(null=True, help_text="When a code is to be sent; empty where none waits.")
    claimed_until = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    send_error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("mailbox", "address"), name="confirmation_once")]
        indexes = [models.Index(fields=("send_at",), condition=Q(send_at__isnull=False), name="confirmation_send")]

    def __str__(self) -> str:
        return self.address
