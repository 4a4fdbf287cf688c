"""Who writes to whom: of a random stretch of the pool's order, read from an index, so that the cost does not grow with
the pool, those who are owed most (W4). Pure choice, thin reading."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef

from mailboxes.models import Workspace
from warmup.accounts import is_same
from warmup.days import days_of
from warmup.models import Pool, PoolMember, random_key

TRIES = 3
LEAST = 20


@dataclass
class Peer:
    """A member that may be written to, how many more messages it takes today, and how many it is owed (W4)."""

    member: PoolMember
    room: int
    owed: int = 0


def pair(pool: Pool, senders: Sequence[PoolMember], now: datetime) -> dict[int, PoolMember]:
    """A peer for each sender (by the sender's id), of another workspace where the pool has others, and never the same
    account. Those who find none are left out. Mailboxes are loaded with their members. At most eleven queries."""
    found: dict[int, PoolMember] = {}
    for _try in range(TRIES):
        waiting = [one for one in senders if one.pk not in found]
        if waiting:
            found |= choose(waiting, _stretch(pool, 4 * len(waiting) + LEAST, now, found.values()))
    waiting = [one for one in senders if one.pk not in found]
    alone = _alone(pool, {one.mailbox.workspace_id for one in waiting}) if waiting else set()
    left = [one for one in waiting if one.mailbox.workspace_id in alone]
    if left:
        peers = _stretch(pool, 4 * len(left) + LEAST, now, found.values())
        found |= choose(left, peers, own_workspace=True)
    return found


def choose(
    senders: Sequence[PoolMember], peers: Sequence[Peer], *, own_workspace: bool = False
) -> dict[int, PoolMember]:
    """Pair them: those are written to first who are owed most, and at random where they are owed alike. No peer gets
    more than it has room for, and nobody writes to themselves."""
    found: dict[int, PoolMember] = {}
    order = [(-one.owed, random.random(), at) for at, one in enumerate(peers) if one.room > 0]  # noqa: S311 - no secret
    heapq.heapify(order)
    for sender in senders:
        place, passed = _first_fit(order, peers, sender, own_workspace)
        if place is not None:
            peer = peers[place]
            peer.room, peer.owed = peer.room - 1, peer.owed - 1
            found[sender.pk] = peer.member
            if peer.room > 0:
                passed.append((-peer.owed, random.random(), place))  # noqa: S311 - no secret
        for one in passed:
            heapq.heappush(order, one)
    return found


Place = tuple[int, float, int]


def _first_fit(
    order: list[Place], peers: Sequence[Peer], sender: PoolMember, own_workspace: bool
) -> tuple[int | None, list[Place]]:
    """Take the first who fits off the order, and those before it, who do not."""
    passed: list[Place] = []
    while order:
        one = heapq.heappop(order)
        if _fits(sender, peers[one[2]].member, own_workspace):
            return one[2], passed
        passed.append(one)
    return None, passed


def _fits(sender: PoolMember, peer: PoolMember, own_workspace: bool) -> bool:
    if is_same(sender.mailbox, peer.mailbox):
        return False
    return own_workspace or sender.mailbox.workspace_id != peer.mailbox.workspace_id


def _stretch(pool: Pool, amount: int, now: datetime, chosen: Iterable[PoolMember] = ()) -> list[Peer]:
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
    days = days_of(list(members), now).values()
    peers = (
        Peer(day.member, day.room_to_receive - taken[day.member.pk], day.owed - taken[day.member.pk]) for day in days
    )
    return [one for one in peers if one.room > 0]


def _alone(pool: Pool, workspaces: Collection[int]) -> set[int]:
    """Those of these workspaces that have the pool to themselves, in one query."""
    others = PoolMember.objects.filter(pool=pool, active=True).exclude(mailbox__workspace=OuterRef("pk"))
    return set(Workspace.objects.filter(~Exists(others), pk__in=workspaces).values_list("pk", flat=True))
