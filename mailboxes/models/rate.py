"""How much of a limit is used up: one row for each key that is counted (SPEC S4, S6)."""

from __future__ import annotations

from django.db import models


class RateLimit(models.Model):
    """A leaky bucket (the generic cell rate algorithm, ITU-T I.371): one moment says how full it is.

    `key` is a hash: neither address nor name of anybody stands here.
    """

    key = models.CharField(max_length=64, primary_key=True)
    empty_at = models.BigIntegerField(help_text="When nothing that was taken counts any more; milliseconds since 1970.")

    class Meta:
        indexes = [models.Index(fields=("empty_at",), name="rate_limit_age")]

    def __str__(self) -> str:
        return self.key[:12]
