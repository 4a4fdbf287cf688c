"""The mailbox: settings, status and hold. Rarely written; what every check writes stands in CheckState."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Lower
from django.utils import timezone

from mailboxes.diagnosis.categories import Actor, Category
from mailboxes.models.confirmation import AddressConfirmation
from mailboxes.models.workspace import Workspace
from mailboxes.states import RECONNECT_REASONS, PauseReason, Status
from mailboxes.wire.values import Security

STATUS_LABELS = {
    Status.UNVERIFIED: "Not verified",
    Status.CONNECTED: "Connected",
    Status.SUSPECT: "Checking",
    Status.NEEDS_REAUTH: "Reconnect required",
    Status.ERROR: "Disconnected",
}
# Three times the longest pause between two readings (I4): older than that, a reading says too little.
READ_LATELY = timedelta(minutes=45)
SECURITY_CHOICES = [(Security.SSL.value, "SSL/TLS"), (Security.STARTTLS.value, "STARTTLS")]
NEEDS_RECONNECT = (
    Q(status=Status.NEEDS_REAUTH.value)
    | Q(status=Status.ERROR.value, auth_failure_open=True)
    | Q(pause_reason__in=[reason.value for reason in RECONNECT_REASONS])
)


def _choices(enum: type[Category] | type[Actor] | type[PauseReason]) -> list[tuple[str, str]]:
    return [(item.value, item.value.replace("_", " ").capitalize()) for item in enum if item.value]


class MailboxQuerySet(models.QuerySet["Mailbox"]):
    """Who may do what, asked at the moment of use. Never copied."""

    def present(self) -> MailboxQuerySet:
        """All but the removed ones."""
        return self.filter(removed_at__isnull=True)

    def of_address(self, address: str) -> MailboxQuerySet:
        """Those of this address, however it is spelled; by the index of the constraint."""
        return self.annotate(lower_address=Lower("address")).filter(lower_address=address.lower())

    def working(self) -> MailboxQuerySet:
        """Connected, and no person holds them. A removed mailbox is never connected."""
        return self.filter(status=Status.CONNECTED, held_since__isnull=True)

    def can_send(self, now: datetime | None = None) -> MailboxQuerySet:
        """May send campaign mail now: working, SMTP wanted, its address confirmed (C10), not resting, and whatever
        arrived in a break has been read: else somebody who has answered meanwhile would be written to again."""
        return self.working().filter(_rested(now), _caught_up(now), is_confirmed(now), wants_smtp=True)

    def can_read(self, now: datetime | None = None) -> MailboxQuerySet:
        """May be read now: working, IMAP wanted, and the provider wants no pause of logins."""
        at = now or timezone.now()
        return self.working().filter(Q(throttled_until__isnull=True) | Q(throttled_until__lte=at), wants_imap=True)

    def can_warm(self, now: datetime | None = None) -> MailboxQuerySet:
        """May take part in warm-up now: sends and reads, not resting."""
        return self.can_send(now).filter(wants_imap=True)

    def needing_reconnect(self) -> MailboxQuerySet:
        """H3, by the index."""
        return self.filter(needs_reconnect=True)

    def resting(self, now: datetime | None = None) -> MailboxQuerySet:
        """Resting at a sending limit (H13)."""
        return self.filter(resting_until__gt=now or timezone.now())

    def flapping(self, now: datetime | None = None) -> MailboxQuerySet:
        """Their status changes too often (H12)."""
        return self.filter(flapping_until__gt=now or timezone.now())

    def needing_settings(self) -> MailboxQuerySet:
        """Disconnected because of a setting (H16)."""
        return self.filter(status=Status.ERROR, settings_fault=True, needs_reconnect=False)


def is_confirmed(now: datetime | None = None) -> Exists:
    """Its present address is confirmed, or was connected before that was asked for and has time left (C10)."""
    of_it = AddressConfirmation.objects.filter(mailbox=OuterRef("pk"), address=OuterRef("address"))
    return Exists(of_it.filter(Q(confirmed_at__isnull=False) | Q(grace_until__gt=now or timezone.now())))


def has_confirmed_address() -> Exists:
    """Its present address is confirmed; time that it has left does not count."""
    of_it = AddressConfirmation.objects.filter(mailbox=OuterRef("pk"), address=OuterRef("address"))
    return Exists(of_it.filter(confirmed_at__isnull=False))


def _rested(now: datetime | None) -> Q:
    at = now or timezone.now()
    by_limit = Q(resting_until__isnull=True) | Q(resting_until__lte=at)
    by_logins = Q(throttled_until__isnull=True) | Q(throttled_until__lte=at)
    return by_limit & by_logins & (Q(risk_until__isnull=True) | Q(risk_until__lte=at))


def _caught_up(now: datetime | None) -> Q:
    """All was read since it works again, and lately. A mailbox that only sends has nothing to read."""
    lately = (now or timezone.now()) - READ_LATELY
    since_release = Q(released_at__isnull=True) | Q(inbox_state__complete_at__gte=F("released_at"))
    since_break = Q(inbox_state__complete_at__gte=F("status_since")) & since_release
    return Q(wants_imap=False) | (since_break & Q(inbox_state__complete_at__gte=lately))


class Mailbox(models.Model):
    """One email account. `status`, its cause and `pause_reason` are written by `mailboxes.health.record` alone."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="mailboxes")
    address = models.EmailField(max_length=254, help_text="The address that mail is sent from.")
    sender_name = models.CharField(max_length=100, blank=True, default="", help_text="The name beside the address.")
    provider = models.CharField(max_length=40, blank=True, default="", help_text="Preset; empty for another provider.")
    tenant = models.CharField(max_length=254, blank=True, default="", help_text="Directory id or mail domain.")

    wants_smtp = models.BooleanField("sends", default=True)
    smtp_host = models.CharField("SMTP host", max_length=253, blank=True)
    smtp_port = models.PositiveIntegerField("SMTP port", default=465)
    smtp_security = models.CharField(
        "SMTP security", max_length=8, choices=SECURITY_CHOICES, default=Security.SSL.value
    )
    smtp_username = models.CharField("SMTP user name", max_length=254, blank=True)
    wants_imap = models.BooleanField("reads", default=True)
    imap_host = models.CharField("IMAP host", max_length=253, blank=True)
    imap_port = models.PositiveIntegerField("IMAP port", default=993)
    imap_security = models.CharField(
        "IMAP security", max_length=8, choices=SECURITY_CHOICES, default=Security.SSL.value
    )
    imap_username = models.CharField("IMAP user name", max_length=254, blank=True)
    imap_folder = models.CharField("IMAP folder", max_length=255, default="INBOX")

    status = models.CharField(
        max_length=12, choices=[(s.value, label) for s, label in STATUS_LABELS.items()], default=Status.UNVERIFIED.value
    )
    status_since = models.DateTimeField(default=timezone.now)
    state_version = models.PositiveIntegerField(default=0, help_text="Rises by one with each status change.")
    pause_reason = models.CharField(max_length=32, blank=True, default="", choices=_choices(PauseReason))
    auth_failure_open = models.BooleanField(default=False)
    settings_fault = models.BooleanField(default=False)
    category = models.CharField("cause", max_length=32, blank=True, default="", choices=_choices(Category))
    actor = models.CharField("who must act", max_length=16, blank=True, default="", choices=_choices(Actor))
    cause_leg = models.CharField(max_length=5, blank=True, default="")
    cause_stage = models.CharField(max_length=8, blank=True, default="")
    cause_rule = models.CharField(max_length=64, blank=True, default="")
    cause_text = models.CharField("server's words", max_length=500, blank=True, default="")
    resting_until = models.DateTimeField(null=True, blank=True, help_text="A sending limit's window has passed then.")
    resting_reason = models.CharField(max_length=500, blank=True, default="")
    throttled_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The provider wants no login before then (D1, rate_limited)."
    )
    risk_until = models.DateTimeField(null=True, blank=True, help_text="Too much of its mail bounced: it rests (K6).")
    risk_reason = models.CharField(max_length=200, blank=True, default="")

    flapping_since = models.DateTimeField(null=True, blank=True, editable=False)
    flapping_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Its status changes too often (H12), until then at least."
    )

    held_since = models.DateTimeField(null=True, blank=True)
    held_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    hold_reason = models.CharField(max_length=200, blank=True, default="")
    released_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="The end of the last pause.")
    long_pause_from = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The last pause by a person that lasted a week or more (W3)."
    )
    long_pause_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    removed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Its history stays (C9).")

    needs_reconnect = models.GeneratedField(
        expression=Case(When(NEEDS_RECONNECT, then=Value(True)), default=Value(False)),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    objects = MailboxQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "mailboxes"
        ordering = ("address",)
        permissions = [
            ("check_mailbox", "Can check mailboxes"),
            ("hold_mailbox", "Can pause and resume mailboxes"),
            ("reconnect_mailbox", "Can reconnect mailboxes for their owners"),
            ("remove_mailbox", "Can remove mailboxes"),
        ]
        constraints = [
            models.UniqueConstraint(
                Lower("address"), "workspace", name="mailbox_once_per_workspace",
                violation_error_message="The workspace has this address already. A removed one comes back with its "
                "history when it is connected again on the customer's pages.",
            ),
            models.CheckConstraint(
                condition=Q(wants_smtp=True) | Q(wants_imap=True), name="mailbox_wants_a_leg",
                violation_error_message="A mailbox must send, read, or both.",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(
                fields=("workspace", "address"), condition=Q(needs_reconnect=True), name="mailbox_needs_reconnect"
            ),
            models.Index(fields=("status", "workspace"), name="mailbox_by_status"),
            models.Index(fields=("provider", "status"), name="mailbox_by_provider"),
            models.Index(fields=("smtp_host",), condition=Q(provider=""), name="mailbox_by_smtp_host"),
            models.Index(fields=("imap_host",), condition=Q(provider=""), name="mailbox_by_imap_host"),
            models.Index(fields=("resting_until",), condition=Q(resting_until__isnull=False), name="mailbox_resting"),
            models.Index(
                fields=("flapping_until",), condition=Q(flapping_until__isnull=False), name="mailbox_flapping"
            ),
            models.Index(fields=("risk_until",), condition=Q(risk_until__isnull=False), name="mailbox_risk"),
            models.Index(
                fields=("tenant",), condition=Q(category=Category.TENANT_SMTP_DISABLED.value), name="mailbox_tenant_off"
            ),
        ]

    def __str__(self) -> str:
        return self.address

    def is_flapping(self, now: datetime) -> bool:
        """Return whether its status changes too often (H12)."""
        return self.flapping_until is not None and self.flapping_until > now

    @property
    def badge(self) -> str:
        """What people read: "Reconnect required" whenever H3 holds, "Check settings" for a settings fault."""
        if self.removed_at is not None:
            return "Removed"
        if self.needs_reconnect:
            return STATUS_LABELS[Status.NEEDS_REAUTH]
        if self.status == Status.ERROR and self.settings_fault:
            return "Check settings"
        return STATUS_LABELS[Status(self.status)]
