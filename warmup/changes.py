"""What people do to a mailbox's warm-up: one function for each, with its audit row in the same transaction (W1)."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from mailboxes.models import AuditEntry, Mailbox, OutMessage
from mailboxes.outbox import queue
from warmup.models import Exchange, Pool, PoolMember


class CannotJoin(Exception):
    """The text says why."""


@transaction.atomic
def join(mailbox: Mailbox, pool: Pool, *, acting_user: AbstractBaseUser | None, now: datetime) -> PoolMember:
    """Put the mailbox into the pool, or back into it, with the level that it had reached. Safe to do twice. Raises
    CannotJoin."""
    place = Mailbox.objects.select_for_update().get(pk=mailbox.pk)  # two presses at once take turns
    if place.removed_at is not None or not (place.wants_smtp and place.wants_imap):
        raise CannotJoin("Only a mailbox that both sends and reads can warm up.")
    other = PoolMember.objects.filter(mailbox=place, active=True).exclude(pool=pool).select_related("pool").first()
    if other is not None:
        raise CannotJoin(f"It warms up in “{other.pool}” already: take it out of there first.")
    member, is_new = PoolMember.objects.get_or_create(pool=pool, mailbox=place, defaults={"next_at": now})
    back = PoolMember.objects.filter(pk=member.pk, active=False).update(active=True, next_at=now)
    if is_new or back:
        _note(member, "warm-up joined", acting_user, now)
    member.refresh_from_db()
    return member


@transaction.atomic
def leave(member: PoolMember, *, acting_user: AbstractBaseUser | None, now: datetime) -> None:
    """Take it out of the pool: nothing is sent to it or by it any more but what is on the wire. Its level is kept."""
    if PoolMember.objects.filter(pk=member.pk, active=True).update(active=False):
        both = Exchange.objects.filter(Q(sender=member) | Q(receiver=member), settled=False)
        waiting = both.filter(out__state__in=(OutMessage.State.QUEUED, OutMessage.State.CLAIMED))
        queue.cancel(list(waiting.values_list("out_id", flat=True)))
        _note(member, "warm-up left", acting_user, now)
    member.refresh_from_db()


def _note(member: PoolMember, action: str, user: AbstractBaseUser | None, now: datetime) -> None:
    AuditEntry.objects.create(
        actor_id=user.pk if user else None,
        action=action,
        mailbox_id=member.mailbox_id,
        at=now,
        detail=member.pool.name,
    )
