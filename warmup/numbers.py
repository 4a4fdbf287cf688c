"""How warm-up stands: where messages were found, counted for a whole page in a constant number of queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from mailboxes.wire.visits import Role
from warmup.models import Exchange, PoolMember

COUNTED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A member's last seven days: sent, found in the inbox and in junk, answered, received, never found."""

    sent: int = 0
    inbox: int = 0
    junk: int = 0
    answered: int = 0
    failed: int = 0
    received: int = 0

    @property
    def found(self) -> int:
        """Those whose place is known."""
        return self.inbox + self.junk

    @property
    def inbox_percent(self) -> int | None:
        """Of what was found; None where nothing was."""
        return round(100 * self.inbox / self.found) if self.found else None


def numbers(members: Iterable[PoolMember], now: datetime) -> dict[int, Numbers]:
    """Numbers by member, in two queries."""
    ids = [one.pk for one in members]
    lately = Exchange.objects.filter(made_at__gte=now - COUNTED_FOR).order_by()
    counted = (
        lately.filter(sender__in=ids, out__sent_at__isnull=False)
        .values("sender")
        .annotate(
            sent=Count("id"),
            inbox=Count("id", filter=Q(placement=Role.INBOX.value)),
            junk=Count("id", filter=Q(placement=Role.JUNK.value)),
            replies=Count("id", filter=Q(answered=True)),
            lost=Count("id", filter=~Q(failed="")),
        )
    )
    arrived = lately.filter(receiver__in=ids, found__isnull=False).values("receiver").annotate(n=Count("id"))
    received = dict(arrived.values_list("receiver", "n"))
    sent = {row[0]: row[1:] for row in counted.values_list("sender", "sent", "inbox", "junk", "replies", "lost")}
    return {key: Numbers(*sent.get(key, (0, 0, 0, 0, 0)), received.get(key, 0)) for key in ids}
