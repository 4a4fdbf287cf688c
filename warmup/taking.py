"""Take note of warm-up mail: found, opened, rescued from junk, sometimes answered; and of what never came (W1, W2)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from mailboxes.inbox.due import read_soon
from mailboxes.models import InMessage, Mailbox, OutMessage
from mailboxes.models.sets import update_rows
from mailboxes.outbox import queue, tempo
from mailboxes.wire.visits import DeedKind, Role
from warmup import talk
from warmup.accounts import is_same
from warmup.days import grant, uncount
from warmup.models import Exchange

MOST = 500
ANSWERED_AFTER_MINUTES = (10, 180)
Out = OutMessage.State


def take(now: datetime) -> int:
    """What was found is opened or rescued at the next visit, and some of it answered. Returns how many were taken."""
    # Apart: each locks members once, in one order, so that two workers never wait for each other.
    return _take_arrivals(now) + _settle(now)


@transaction.atomic
def _take_arrivals(now: datetime) -> int:
    waiting = InMessage.objects.select_for_update(skip_locked=True, of=("self",))
    rows = list(waiting.filter(waits_for=OutMessage.Purpose.WARMUP).order_by("id")[:MOST])
    ours = _exchanges(rows)
    found = [
        (row, ours[row.message_id]) for row in rows if row.kind == InMessage.Kind.WARMUP and row.message_id in ours
    ]
    _note([(row, one) for row, one in found if one.receiver.mailbox_id == row.mailbox_id], now)
    _not_delivered([row for row in rows if row.kind == InMessage.Kind.BOUNCE])
    InMessage.objects.filter(id__in=[row.pk for row in rows]).update(waits_for="")
    return len(rows)


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
    """By chance, as often as the pool wants it; never an answer, and never the same account."""
    if one.is_answer or not one.receiver.active or is_same(one.sender.mailbox, one.receiver.mailbox):
        return False
    return random.randrange(100) < one.sender.pool.answered_percent  # noqa: S311 - no secret


def _answer(exchanges: Sequence[Exchange], now: datetime) -> None:
    """In the conversation, after a while, by whoever received it, as far as its day has room for it (W1)."""
    drafts = [(one, draft) for one in exchanges if not queue.fault(draft := _draft(one, now), now)]
    room = grant(Counter(one.receiver_id for one, _draft in drafts), now)
    going: list[tuple[Exchange, queue.Draft]] = []
    for one, draft in drafts:
        room[one.receiver_id] -= 1
        going += [(one, draft)] if room[one.receiver_id] >= 0 else []
    rows = queue.put([draft for _one, draft in going], now)
    Exchange.objects.bulk_create(
        [
            Exchange(out=row, sender=one.receiver, receiver=one.sender, made_at=now, is_answer=True)
            for row, (one, _draft) in zip(rows, going, strict=True)
        ]
    )
    Exchange.objects.filter(id__in=[one.pk for one, _draft in going]).update(answered=True)


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
    sends, takes = (Exists(Mailbox.objects.working().filter(pk=OuterRef(one))) for one in ("out__mailbox", "out__peer"))
    stuck = Exchange.objects.filter(~sends | ~takes, settled=False, out__state=Out.QUEUED)
    queue.cancel(list(stuck.values_list("out_id", flat=True)[:MOST]))


@transaction.atomic
def _settle(now: datetime) -> int:
    """What never went out is not counted as sent, nor as received (LESSONS 25)."""
    ended = Q(out__state__in=(Out.SENT, Out.REFUSED, Out.EXPIRED, Out.CANCELLED))
    open_now = Exchange.objects.select_for_update(skip_locked=True, of=("self",)).filter(ended, settled=False)
    rows = list(open_now.select_related("out").order_by("id")[:MOST])
    lost = [one for one in rows if one.out.state != Out.SENT]
    update_rows(Exchange, [{"pk": one.pk, "failed": one.out.text or "It was not sent."} for one in lost])
    sent = [(one.sender_id, one.made_at) for one in lost]
    uncount(sent, [(one.receiver_id, one.made_at) for one in lost if not one.is_answer], now)
    Exchange.objects.filter(id__in=[one.pk for one in rows]).update(settled=True)
    return len(rows)
