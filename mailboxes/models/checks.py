"""What every check writes (hot and narrow), and the checks that somebody asked for."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from mailboxes.models.mailbox import Mailbox


class CheckState(models.Model):
    """Due time, lease, and what is remembered of each leg (`health.legs` packs and unpacks it).

    Claiming moves `next_check_at` on by the lease; NULL is never due by itself.
    """

    mailbox = models.OneToOneField(Mailbox, on_delete=models.CASCADE, primary_key=True, related_name="check_state")
    next_check_at = models.DateTimeField(null=True, default=timezone.now)
    last_check_at = models.DateTimeField(null=True)
    smtp = models.JSONField(default=dict)
    imap = models.JSONField(default=dict)
    oauth = models.JSONField(default=dict)
    use = models.JSONField(default=dict, help_text="What was sent lately, by minute and hour (`health.limits`).")
    flag_waits = models.BooleanField(default=False, help_text="It is certain, and waits for room under the cap (H9).")

    class Meta:
        indexes = [
            models.Index(fields=("next_check_at",), name="check_state_due"),
            models.Index(fields=("mailbox",), condition=Q(flag_waits=True), name="check_state_flag_waits"),
        ]

    def __str__(self) -> str:
        return f"checks of mailbox {self.mailbox_id}"


class CheckDay(models.Model):
    """A mailbox's day, hour by hour: no row is kept for a passing check (`health.rollups` is the only writer).

    `hours` maps the hour ("0" to "23", UTC) to legs, and each leg to [passed, failed, milliseconds of all that passed,
    milliseconds of the slowest].
    """

    # Without an index of its own: the constraint's begins with it.
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="check_days", db_index=False)
    day = models.DateField()
    hours = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("mailbox", "day"), name="check_day_once")]
        indexes = [models.Index(fields=("day",), name="check_day_age")]

    def __str__(self) -> str:
        return f"checks of mailbox {self.mailbox_id} on {self.day}"


class AskedCheck(models.Model):
    """A check that a person asked for: queue and result in one row. At most one of a mailbox is open."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="asked_checks")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True)
    starts = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    status = models.CharField(max_length=12, blank=True, default="", help_text="The mailbox's status afterwards.")
    legs = models.JSONField(default=list, help_text="Each leg's steps.")
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("mailbox",), condition=Q(done_at__isnull=True), name="one_open_asked_check")
        ]
        indexes = [
            models.Index(fields=("asked_at",), condition=Q(done_at__isnull=True), name="asked_check_open"),
            models.Index(fields=("done_at",), name="asked_check_age"),
        ]

    def __str__(self) -> str:
        return f"check of mailbox {self.mailbox_id} asked at {self.asked_at:%H:%M:%S}"
