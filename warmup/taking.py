"""Take note of warm-up mail: found, opened, rescued from junk, sometimes answered; and of what never came (W1, W2)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from mailboxes.inbox.due import read_soon
from mailboxes.models import InMessage, Mailbox, OutMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import queue, tempo
from mailboxes.wire.visits import DeedKind, Role
from warmup import talk
from warmup.models import Exchange, PoolMember

MOST = 500
ANSWERED_AFTER_MINUTES = (10, 180)
Out = OutMessage.State


@transaction.atomic
def take(now: datetime) -> int:
    """What was found is opened or rescued at the next visit, and some of it answered. Returns how many were taken."""
    waiting = InMessage.objects.select_for_update(skip_locked=True, of=("self",))
    rows = list(waiting.filter(waits_for=OutMessage.Purpose.WARMUP).order_by("id")[:MOST])
    ours = _exchanges(rows)
    found = [
        (row, ours[row.message_id]) for row in rows if row.kind == InMessage.Kind.WARMUP and row.message_id in ours
    ]
    _note([(row, one) for row, one in found if one.receiver.mailbox_id == row.mailbox_id], now)
    _not_delivered([row for row in rows if row.kind == InMessage.Kind.BOUNCE])
    InMessage.objects.filter(id__in=[row.pk for row in rows]).update(waits_for="")
    return len(rows) + _settle()


def _exchanges(rows: Sequence[InMessage]) -> dict[str, Exchange]:
    ids = [row.message_id for row in rows]
    found = Exchange.objects.filter(out__message_id__in=ids, found__isnull=True)
    related = ("out", "sender__mailbox", "sender__pool", "receiver__mailbox", "receiver__pool")
    return {one.out.message_id: one for one in found.select_related(*related)}


def _note(found: Sequence[tuple[InMessage, Exchange]], now: datetime) -> None:
    """Placement is kept; the deed is done at the next visit, which is soon."""
    update_rows(
        Exchange, [{"pk": one.pk, "found": row.pk, "found_at": now, "placement": row.role} for row, one in found]
    )
    deeds = {Role.INBOX.value: DeedKind.OPEN.value, Role.JUNK.value: DeedKind.RESCUE.value}
    update_rows(InMessage, [{"pk": row.pk, "deed": deeds[row.role]} for row, _one in found])
    read_soon({row.mailbox_id for row, _one in found}, now)
    _answer([one for _row, one in found if _is_to_be_answered(one)], now)


def _is_to_be_answered(one: Exchange) -> bool:
    receiver = one.receiver
    may_send = receiver.active and receiver.sent_today < receiver.pool.ramp.level(receiver.days_sent)
    return not one.is_answer and may_send and random.randrange(100) < one.sender.pool.answered_percent  # noqa: S311


def _answer(exchanges: Sequence[Exchange], now: datetime) -> None:
    """In the conversation, after a while, by whoever received it."""
    drafts = [(one, draft) for one in exchanges if not queue.fault(draft := _draft(one, now), now)]
    exchanges = [one for one, _draft in drafts]
    rows = queue.put([draft for _one, draft in drafts], now)
    Exchange.objects.bulk_create(
        [
            Exchange(out=row, sender=one.receiver, receiver=one.sender, made_at=now, is_answer=True)
            for row, one in zip(rows, exchanges, strict=True)
        ]
    )
    Exchange.objects.filter(id__in=[one.pk for one in exchanges]).update(answered=True)
    PoolMember.objects.filter(id__in=[one.receiver_id for one in exchanges]).update(sent_today=F("sent_today") + 1)


def _draft(one: Exchange, now: datetime) -> queue.Draft:
    after = timedelta(minutes=random.uniform(*ANSWERED_AFTER_MINUTES))  # noqa: S311 - no secret
    out = one.out
    return queue.Draft(
        mailbox=one.receiver.mailbox,
        peer=one.sender.mailbox,
        purpose=OutMessage.Purpose.WARMUP,
        recipient=one.sender.mailbox.address,
        subject=f"Re: {out.subject}",
        body=talk.answer(),
        follows=(out.message_id,),
        due_at=now + tempo.lasting(after),
    )


def _not_delivered(bounces: Sequence[InMessage]) -> None:
    """A peer that broke with a message under way: noted, and no bounce against anyone (W2)."""
    said = {row.answers_id: row.bounce_text or "It was returned." for row in bounces if row.answers_id}
    rows = Exchange.objects.filter(out__in=said, failed="").values_list("id", "out_id")
    update_rows(Exchange, [{"pk": key, "failed": said[out]} for key, out in rows])


def take_back(now: datetime) -> None:
    """Queued messages of members who left work, or to those who did: no use later (W2)."""
    works = Mailbox.objects.working()
    open_now = Exchange.objects.filter(settled=False, out__state=Out.QUEUED)
    stuck = open_now.exclude(out__mailbox__in=works, out__peer__in=works)
    queue.cancel(list(stuck.values_list("out_id", flat=True)[:MOST]))


def _settle() -> int:
    """What never went out is not counted as sent, nor as received (LESSONS 25)."""
    ended = Q(out__state__in=(Out.SENT, Out.REFUSED, Out.EXPIRED, Out.CANCELLED))
    open_now = Exchange.objects.select_for_update(skip_locked=True, of=("self",)).filter(ended, settled=False)
    rows = list(open_now.select_related("out").order_by("id")[:MOST])
    lost = [one for one in rows if one.out.state != Out.SENT]
    update_rows(Exchange, [{"pk": one.pk, "failed": one.out.text or "It was not sent."} for one in lost])
    _uncount("sent_today", (one.sender_id for one in lost))
    _uncount("received_today", (one.receiver_id for one in lost if not one.is_answer))
    Exchange.objects.filter(id__in=[one.pk for one in rows]).update(settled=True)
    return len(rows)


def _uncount(column: str, member_ids: Iterable[int]) -> None:
    """One less for each; two of one member at once count as one, which errs on the careful side."""
    counted = PoolMember.objects.filter(id__in=set(member_ids), **{f"{column}__gt": 0})
    counted.update(**{column: F(column) - 1})
