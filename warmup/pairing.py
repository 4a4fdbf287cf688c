"""Who writes to whom: a random stretch of the pool's order, read from an index, so that the cost does not grow with the
pool (W4). Pure choice, thin reading."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from warmup.models import Pool, PoolMember, random_key

TRIES = 3
LEAST = 20


@dataclass
class Peer:
    """A member that may be written to, and how many more messages it takes today."""

    member: PoolMember
    room: int


def pair(pool: Pool, senders: Sequence[PoolMember], now: datetime, today: date) -> dict[int, PoolMember]:
    """A peer for each sender (by the sender's id), of another workspace where the pool has others. Those who find none
    are left out. Mailboxes are loaded with their members."""
    found: dict[int, PoolMember] = {}
    for _try in range(TRIES):
        waiting = [one for one in senders if one.pk not in found]
        if waiting:
            found |= choose(waiting, _stretch(pool, 4 * len(waiting) + LEAST, now, today, found.values()))
    left = [one for one in senders if one.pk not in found and not _has_others(one)]
    if left:
        peers = _stretch(pool, 4 * len(left) + LEAST, now, today, found.values())
        found |= choose(left, peers, own_workspace=True)
    return found


def choose(
    senders: Sequence[PoolMember], peers: Sequence[Peer], *, own_workspace: bool = False
) -> dict[int, PoolMember]:
    """Pair them at random; no peer gets more than it has room for, and nobody writes to themselves."""
    shuffled = random.sample(peers, len(peers))
    found = {}
    for sender in senders:
        peer = next((one for one in shuffled if one.room > 0 and _fits(sender, one.member, own_workspace)), None)
        if peer is not None:
            peer.room -= 1
            found[sender.pk] = peer.member
            shuffled.remove(peer)
            shuffled.append(peer)
    return found


def _fits(sender: PoolMember, peer: PoolMember, own_workspace: bool) -> bool:
    if sender.mailbox_id == peer.mailbox_id:
        return False
    return own_workspace or sender.mailbox.workspace_id != peer.mailbox.workspace_id


def _stretch(pool: Pool, amount: int, now: datetime, today: date, chosen: Iterable[PoolMember] = ()) -> list[Peer]:
    """Members from a random place on, round the end of the order, and of them those that can be written to now. What
    has been chosen already is taken off their room."""
    taken = Counter(one.pk for one in chosen)
    order = PoolMember.objects.filter(pool=pool, active=True).order_by("key")
    place = random_key()
    ids = list(order.filter(key__gte=place).values_list("id", flat=True)[:amount])
    if len(ids) < amount:
        ids += order.filter(key__lt=place).values_list("id", flat=True)[: amount - len(ids)]
    # Locked, and passed over where another worker holds them: waiting for each other, two would deadlock.
    members = PoolMember.objects.peers(now).select_for_update(skip_locked=True, of=("self",)).filter(id__in=ids)
    members = members.select_related("mailbox", "pool")
    return [Peer(member, room) for member in members if (room := _room(member, today) - taken[member.pk]) > 0]


def _room(member: PoolMember, today: date) -> int:
    """How many more it takes today: as many in all as it may send."""
    received = member.received_today if member.day == today else 0
    return member.pool.ramp.level(member.days_sent) - received


def _has_others(member: PoolMember) -> bool:
    others = PoolMember.objects.filter(pool_id=member.pool_id, active=True)
    return others.exclude(mailbox__workspace_id=member.mailbox.workspace_id).exists()
