"""What a row costs: claim and record, at 1,000, 100,000 and 1,000,000 mailboxes. `python -m tests.benchmarks.database`.

It fills the database of DATABASE_URL, which must be a PostgreSQL made for this and thrown away afterwards.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from mailboxes.health.due import claim_due  # noqa: E402
from mailboxes.health.evidence import Evidence  # noqa: E402
from mailboxes.health.record import record  # noqa: E402
from mailboxes.states import Source  # noqa: E402
from mailboxes.wire.values import Leg, Stage, Step  # noqa: E402

SIZES = (1_000, 100_000, 1_000_000)
BATCH = 500
ROUNDS = 12
REFUSED = Step(Stage.CONNECT, False, 5, "ETIMEDOUT", "the connection timed out")
WORKSPACES = """
INSERT INTO mailboxes_workspace (id, name, created_at) SELECT n, 'w' || n, %s FROM generate_series(1, 100) AS n
"""
FILL = """
INSERT INTO mailboxes_mailbox (id, workspace_id, address, provider, tenant, wants_smtp, smtp_host, smtp_port,
  smtp_security, smtp_username, wants_imap, imap_host, imap_port, imap_security, imap_username, imap_folder, status,
  status_since, state_version, pause_reason, auth_failure_open, settings_fault, category, actor, cause_leg, cause_stage,
  cause_rule, cause_text, resting_reason, hold_reason, risk_reason, sender_name, created_at)
SELECT n, 1 + n %% 100, 'box' || n || '@example' || n %% 5000 || '.test', 'gmail', '', true, 'smtp.example.test', 465,
  'ssl', '', true, 'imap.example.test', 993, 'ssl', '', 'INBOX', 'connected', %(at)s, 1, '', false, false, '', '', '',
  '', '', '', '', '', '', '', %(at)s FROM generate_series(%(first)s, %(last)s) AS n;
INSERT INTO mailboxes_checkstate (mailbox_id, next_check_at, last_check_at, smtp, imap, oauth, use)
SELECT n, %(at)s - random() * interval '1 hour', %(at)s, %(leg)s, %(leg)s, '{}', '{}'
FROM generate_series(%(first)s, %(last)s) AS n;
INSERT INTO mailboxes_credential (mailbox_id, kind, version, replaced_at, refresh_lease, scopes, identity,
  identity_name, password)
SELECT n, 'password', 1, %(at)s, '', '', '', '', '\\x00' FROM generate_series(%(first)s, %(last)s) AS n;
"""


def fill(first: int, last: int, at: datetime) -> None:
    """Connected mailboxes, all due, spread over the last hour."""
    leg = json.dumps({"last_ok": (at - timedelta(hours=1)).isoformat()})
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"first": first, "last": last, "at": at, "leg": leg})
        cursor.execute("VACUUM ANALYZE")


def evidence(ids: list[int], at: datetime) -> list[Evidence]:
    """Both legs of each; one mailbox in fifty does not answer."""
    return [
        Evidence(key, leg, Source.CHECK, 1, at, at, REFUSED if key % 50 == 0 else None, took_ms=200)
        for key in ids
        for leg in (Leg.SMTP, Leg.IMAP)
    ]


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Its result, milliseconds, and milliseconds of our own CPU."""
    cpu, began = time.process_time(), time.perf_counter()
    found = work()
    return found, (time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000


def measure(size: int, at: datetime) -> dict[str, float]:
    """Milliseconds a mailbox of claiming and of recording, of which our own CPU; queries for a batch. Medians."""
    rows = []
    for number in range(ROUNDS):
        now = at + timedelta(seconds=number)
        if size < BATCH * ROUNDS:  # all have had their turn: make them due again
            _all_due(at)
        ids, claim, claim_cpu = timed(partial(claim_due, BATCH, now))
        items = evidence(ids, now)
        with CaptureQueriesContext(connection) as queries:
            _, write, write_cpu = timed(partial(record, items, now=now))
        rows.append((claim / BATCH, write / BATCH, (claim_cpu + write_cpu) / BATCH, len(queries)))
    claim, write, cpu, count = (statistics.median(row[at] for row in rows[2:]) for at in range(4))
    return {"size": size, "claim_ms": claim, "record_ms": write, "cpu_ms": cpu, "queries": count}


def _all_due(at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mailboxes_checkstate SET next_check_at = %s - random() * interval '1 hour'", [at])


def main() -> None:
    """One line of JSON for each size."""
    if connection.vendor != "postgresql":
        sys.exit("DATABASE_URL is not a PostgreSQL")
    call_command("migrate", verbosity=0)
    at, filled = datetime.now(UTC), 0
    with connection.cursor() as cursor:
        cursor.execute(WORKSPACES, [at])
    for size in SIZES:
        fill(filled + 1, size, at)
        filled = size
        print(json.dumps(measure(size, at)), flush=True)


if __name__ == "__main__":
    main()
