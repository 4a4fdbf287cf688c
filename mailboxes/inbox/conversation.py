"""The unified inbox: what people wrote to a workspace, and each message in its conversation (SPEC I3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet

from mailboxes.models import AuditEntry, InMessage, Mailbox, OutMessage, Workspace
from mailboxes.outbox import queue

MOST_SHOWN = 200
MOST_FOLLOWED = 10
BODY_CHARS = 20_000
SAME_WITHIN = timedelta(minutes=2)
Kind = InMessage.Kind
_ID = re.compile(r"[!-~]+")  # others' Message-IDs may hold what no header field may


class CannotReply(Exception):
    """The text says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a conversation, either way."""

    at: datetime
    is_ours: bool
    who: str
    subject: str
    text: str
    note: str
    pk: int


def from_people() -> QuerySet[InMessage]:
    """All but warm-up mail and copies of what we sent, the latest first."""
    return InMessage.objects.exclude(kind=Kind.WARMUP).exclude(kind=Kind.OWN).order_by("-arrived_at", "-id")


def of_workspace(workspace: Workspace) -> QuerySet[InMessage]:
    """What people wrote to this workspace's mailboxes."""
    return from_people().filter(mailbox__workspace=workspace)


def searched(rows: QuerySet[InMessage], words: str) -> QuerySet[InMessage]:
    """Those whose sender, subject or text holds all of the words."""
    for word in words.split()[:8]:
        rows = rows.filter(Q(from_address__icontains=word) | Q(subject__icontains=word) | Q(text__icontains=word))
    return rows


def conversation(message: InMessage) -> list[Line]:
    """The whole conversation of a message, the oldest first, in two queries. Within its mailbox's workspace alone."""
    workspace = message.mailbox.workspace_id
    received = InMessage.objects.filter(thread=message.thread, mailbox__workspace=workspace)
    sent = OutMessage.objects.filter(thread=message.thread, mailbox__workspace=workspace)
    ours = list(sent.select_related("mailbox").order_by("-created_at")[:MOST_SHOWN])
    known = {row.message_id for row in ours}  # a copy of one of these tells nothing new
    lines = [
        _received(row)
        for row in received.select_related("mailbox").order_by("-arrived_at")[:MOST_SHOWN]
        if not (row.kind == Kind.OWN and row.message_id in known)
    ]
    lines += [_sent(row) for row in ours]
    # Servers tell whole seconds: within one, what we wrote came before its answer.
    return sorted(lines, key=lambda line: (line.at.replace(microsecond=0), not line.is_ours))


def _received(row: InMessage) -> Line:
    who = f"{row.from_name} <{row.from_address}>" if row.from_name else row.from_address
    note = "" if row.kind == Kind.MESSAGE else row.get_kind_display()
    found = f"found in {row.get_role_display()}" if row.role == "junk" else ""
    return Line(
        row.arrived_at,
        row.kind == Kind.OWN,
        who,
        row.subject,
        row.text,
        " · ".join(filter(None, (note, found))),
        row.pk,
    )


def _sent(row: OutMessage) -> Line:
    at = row.sent_at or row.on_wire_at or row.created_at
    note = "" if row.state == OutMessage.State.SENT else row.get_state_display()
    bounced = "bounced" if row.bounced_at else ""
    return Line(at, True, row.mailbox.address, row.subject, row.body, " · ".join(filter(None, (note, bounced))), row.pk)


def answer_to(message: InMessage) -> str:
    """Return the address that an answer goes to: Reply-To, where the sender gave one (RFC 5322 3.6.2)."""
    return message.reply_to or message.from_address


def may_answer(message: InMessage) -> bool:
    """Return whether somebody reads what is sent to the message's sender."""
    return message.kind in (Kind.MESSAGE, Kind.AUTO_REPLY) and "@" in answer_to(message)


@transaction.atomic
def reply(message: InMessage, text: str, *, acting_user: AbstractBaseUser, now: datetime) -> OutMessage:
    """Queue a person's answer, from the mailbox that was written to, in the conversation. It goes out as soon as that
    mailbox can send. The same words within two minutes are the same answer. Raises CannotReply."""
    body = text.replace("\r\n", "\n").strip()
    if not body:
        raise CannotReply("Write something first.")
    if len(body) > BODY_CHARS:
        raise CannotReply(f"The answer is longer than {BODY_CHARS} characters.")
    if not may_answer(message):
        raise CannotReply("Nobody reads what is sent to this address.")
    if not Mailbox.objects.present().filter(pk=message.mailbox_id, wants_smtp=True).exists():
        raise CannotReply("This mailbox does not send.")
    InMessage.objects.select_for_update().get(pk=message.pk)  # two presses at once take turns
    answers = OutMessage.objects.filter(thread=message.thread, purpose=OutMessage.Purpose.REPLY, body=f"{body}\n")
    before = answers.filter(mailbox=message.mailbox_id, created_at__gt=now - SAME_WITHIN).first()
    if before is not None:
        return before
    row = _queued(message, body, now)
    AuditEntry.objects.create(
        actor_id=acting_user.pk,
        action="reply written",
        mailbox_id=message.mailbox_id,
        at=now,
        detail=row.message_id[:200],
    )
    return row


def _queued(message: InMessage, body: str, now: datetime) -> OutMessage:
    subject = message.subject if message.subject.lower().startswith("re:") else f"Re: {message.subject}"
    draft = queue.Draft(
        mailbox=message.mailbox,
        purpose=OutMessage.Purpose.REPLY,
        recipient=answer_to(message),
        subject=" ".join(subject.split())[:500],
        body=f"{body}\n",
        follows=_follows(message),
        due_at=now,
    )
    try:
        [row] = queue.put([draft], now)
    except ValueError:
        raise CannotReply("Nothing can be sent to this address.") from None
    OutMessage.objects.filter(pk=row.pk).update(thread=message.thread)
    row.thread = message.thread
    return row


def _follows(message: InMessage) -> tuple[str, ...]:
    """Message-IDs of what went before, this one last."""
    ids: Sequence[str] = [*message.references.split()[-MOST_FOLLOWED:], message.message_id]
    return tuple(one for one in ids if one and len(one) <= 250 and _ID.fullmatch(one))
