"""What has been read of each mailbox, how far, and what arrived."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from mailboxes.models.mailbox import Mailbox
from mailboxes.models.outbox import OutMessage
from mailboxes.wire.visits import DeedKind, Role


class InboxState(models.Model):
    """When a mailbox is read next, and when all of it was last read. A claim moves `next_read_at` on by its lease."""

    mailbox = models.OneToOneField(Mailbox, on_delete=models.CASCADE, primary_key=True, related_name="inbox_state")
    next_read_at = models.DateTimeField(null=True, default=timezone.now)
    complete_at = models.DateTimeField(
        null=True, blank=True, help_text="The beginning of the last visit that left nothing unread."
    )
    watched_until = models.DateTimeField(null=True, blank=True, help_text="Somebody looks at it: read more often.")
    places = models.JSONField(default=dict, help_text="Folders by role, as the server names them.")
    places_at = models.DateTimeField(null=True, blank=True, help_text="When the server was asked for its folders.")
    saves_sent = models.BooleanField(
        null=True, blank=True, help_text="The provider keeps a copy of what was sent; empty until it has been seen."
    )

    class Meta:
        indexes = [models.Index(fields=("next_read_at",), name="inbox_state_due")]

    def __str__(self) -> str:
        return f"inbox of mailbox {self.mailbox_id}"


class FolderCursor(models.Model):
    """How far a folder has been read (SPEC I1). Saved with the messages, in one transaction."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="cursors", db_index=False)
    role = models.CharField(max_length=5, choices=[(role.value, role.value) for role in Role])
    folder = models.CharField(max_length=255)
    uidvalidity = models.BigIntegerField()
    last_uid = models.BigIntegerField()
    read_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("mailbox", "folder"), name="folder_cursor_once")]

    def __str__(self) -> str:
        return f"{self.folder} of mailbox {self.mailbox_id}"


class UnreadMessage(models.Model):
    """A message that was announced and did not come (SPEC I5). After some tries it is noted, and stepped over: until
    then the cursor stands before it, and messages are asked for one at a time."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="unread_messages", db_index=False)
    folder = models.CharField(max_length=255)
    uidvalidity = models.BigIntegerField()
    uid = models.BigIntegerField()
    reason = models.CharField(max_length=500)
    tries = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField("tried first")
    last_at = models.DateTimeField("tried last")
    noted_at = models.DateTimeField("stepped over", null=True, blank=True)

    class Meta:
        verbose_name = "message that cannot be read"
        verbose_name_plural = "messages that cannot be read"
        ordering = ("-last_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=("mailbox", "folder", "uidvalidity", "uid"), name="unread_message_once")
        ]
        indexes = [models.Index(fields=("last_at",), name="unread_message_age")]

    def __str__(self) -> str:
        return f"message {self.uid} in {self.folder}"


class InMessage(models.Model):
    """A message that arrived. The same one in another folder, or read again after a change of UIDVALIDITY, is the same
    row. `waits_for` is the purpose of what it answers until whoever sent that has taken note of it.
    """

    class Kind(models.TextChoices):
        MESSAGE = "message", "Message"
        AUTO_REPLY = "auto_reply", "Automatic reply"
        BOUNCE = "bounce", "Bounce"
        COMPLAINT = "complaint", "Complaint"
        OWN = "own", "Our own copy"
        WARMUP = "warmup", "Warm-up"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="in_messages", db_index=False)
    identity = models.CharField(max_length=64)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    role = models.CharField("found in", max_length=5, choices=[(Role.INBOX.value, "Inbox"), (Role.JUNK.value, "Junk")])
    uid = models.BigIntegerField()
    message_id = models.CharField(max_length=500, blank=True, default="")
    references = models.TextField(blank=True, default="")
    thread = models.CharField(max_length=500, db_index=True)
    from_address = models.CharField(max_length=254, blank=True, default="")
    from_name = models.CharField(max_length=200, blank=True, default="")
    reply_to = models.CharField(
        max_length=254, blank=True, default="", help_text="Where an answer goes, if not to the sender."
    )
    subject = models.CharField(max_length=500, blank=True, default="")
    text = models.TextField(blank=True, default="")
    arrived_at = models.DateTimeField()
    stored_at = models.DateTimeField(default=timezone.now)
    size = models.PositiveIntegerField(default=0)
    seen = models.BooleanField("read elsewhere", default=False)
    answers = models.ForeignKey(OutMessage, on_delete=models.SET_NULL, null=True, blank=True, related_name="responses")
    proved = models.BooleanField(
        default=False, help_text="A report that shows our Message-ID or our signed mark: it is about what we sent."
    )
    bounce_outcome = models.CharField(max_length=7, blank=True, default="")
    bounce_status = models.CharField(max_length=12, blank=True, default="")
    bounce_text = models.CharField(max_length=500, blank=True, default="")
    waits_for = models.CharField(max_length=8, blank=True, default="", choices=OutMessage.Purpose.choices)
    deed = models.CharField(
        max_length=6, blank=True, default="", choices=[(kind.value, kind.value) for kind in DeedKind]
    )

    class Meta:
        verbose_name = "received message"
        ordering = ("-arrived_at", "-id")
        constraints = [models.UniqueConstraint(fields=("mailbox", "identity"), name="in_message_once")]
        indexes = [
            models.Index(fields=("waits_for", "id"), condition=~Q(waits_for=""), name="in_message_waiting"),
            models.Index(fields=("mailbox",), condition=~Q(deed=""), name="in_message_deed"),
            models.Index(fields=("-arrived_at", "-id"), condition=~Q(kind="warmup"), name="in_message_people"),
            models.Index(fields=("mailbox", "-arrived_at"), condition=~Q(kind="warmup"), name="in_message_of_mailbox"),
            models.Index(fields=("stored_at",), name="in_message_age"),
            models.Index(fields=("from_address",), name="in_message_from"),
        ]

    def __str__(self) -> str:
        return self.subject or "(no subject)"
