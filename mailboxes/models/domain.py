"""What was found out about a mail domain; one row for all mailboxes of it."""

from __future__ import annotations

from django.db import models

from mailboxes.providers.domains import Sign


class MailDomain(models.Model):
    """A domain's records as they were last looked up (`health.domains` is the only writer)."""

    name = models.CharField(max_length=253, primary_key=True)
    looked_up_at = models.DateTimeField()
    sign = models.CharField(max_length=12, choices=[(sign.value, sign.value) for sign in Sign])
    exchangers = models.JSONField(default=list, help_text="Mail exchangers, the most preferred first.")

    class Meta:
        indexes = [models.Index(fields=("looked_up_at",), name="mail_domain_age")]

    def __str__(self) -> str:
        return self.name
