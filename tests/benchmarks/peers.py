"""What choosing peers costs in a small and in a large pool (W4). `python -m tests.benchmarks.peers`.

It fills the database of DATABASE_URL, which must be a PostgreSQL made for this and thrown away afterwards.
"""

from __future__ import annotations

import json
import statistics
import sys
from datetime import UTC, datetime
from functools import partial

from tests.benchmarks.database import WORKSPACES, fill, timed

from django.core.management import call_command  # isort: skip
from django.db import connection, transaction  # isort: skip

from warmup.models import Pool, PoolMember  # isort: skip
from warmup.pairing import pair  # isort: skip

SIZES = (200, 200_000)
FIRST = 2_000_000  # behind the mailboxes of the other benchmark
SENDERS = 50
ROUNDS = 25
FILL = """
INSERT INTO mailboxes_inboxstate (mailbox_id, complete_at, places)
SELECT n, %(at)s, '{}' FROM generate_series(%(first)s, %(last)s) AS n;
INSERT INTO warmup_poolmember (pool_id, mailbox_id, active, joined_at, key, next_at, days_sent, sent_today,
  received_today)
SELECT %(pool)s, n, true, %(at)s, (random() * 4e18)::bigint, %(at)s, 0, 0, 0
FROM generate_series(%(first)s, %(last)s) AS n;
"""


def make_pool(first: int, size: int, at: datetime) -> Pool:
    """A pool of so many connected mailboxes of a hundred workspaces."""
    pool = Pool.objects.create(name=f"pool of {size}")
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"at": at, "first": first, "last": first + size - 1, "pool": pool.pk})
        cursor.execute("VACUUM ANALYZE")
    return pool


def measure(pool: Pool, size: int, at: datetime) -> dict[str, float]:
    """Milliseconds for peers of 50 senders, the median; how many found one."""
    members = PoolMember.objects.filter(pool=pool).select_related("mailbox", "pool")
    senders = list(members.order_by("id")[:SENDERS])
    found = [timed(transaction.atomic(partial(pair, pool, senders, at))) for _round in range(ROUNDS)]
    return {
        "size": size,
        "ms": statistics.median(row[1] for row in found[5:]),
        "found": min(len(row[0]) for row in found),
    }


def main() -> None:
    """One line of JSON for each size; the two take turns, so that neither has the warmer cache."""
    if connection.vendor != "postgresql":
        sys.exit("DATABASE_URL is not a PostgreSQL")
    call_command("migrate", verbosity=0)
    at, first, pools = datetime.now(UTC), FIRST, []
    with connection.cursor() as cursor:
        cursor.execute(f"{WORKSPACES.rstrip()} ON CONFLICT DO NOTHING", [at])
    for size in SIZES:
        fill(first, first + size - 1, at)
        pools.append((make_pool(first, size, at), size))
        first += size
    for pool, size in pools:
        print(json.dumps(measure(pool, size, at)), flush=True)


if __name__ == "__main__":
    main()
