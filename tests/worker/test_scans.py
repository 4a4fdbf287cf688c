"""What each tick runs reads no big table from its beginning to its end (CODE-5): the database's own plans, with 30,000
rows in each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

from campaigns import choosing as campaign_choosing
from campaigns.mail import keen
from campaigns.mail import take as take_campaigns
from campaigns.models import Campaign, Lead, LeadMessage, Step, Suppression
from mailboxes import worker
from mailboxes.health import asked, due
from mailboxes.inbox import due as inbox_due
from mailboxes.inbox import rounds
from mailboxes.models import (
    AddressConfirmation,
    AskedCheck,
    CheckState,
    InboxState,
    InMessage,
    Mailbox,
    OutMessage,
    Pace,
    StatusChange,
    Trial,
)
from mailboxes.outbox import claim, unknown
from mailboxes.reconnect import removal, trials
from tests.make import START, make_mailbox, make_workspace
from tests.post import make_campaign
from warmup import choosing as warmup_choosing
from warmup.models import Exchange, Pool, PoolMember
from warmup.taking import take as take_warmup

pytestmark = pytest.mark.django_db
ROWS = 30_000
FIRST = 1_000_000
LATER = START + timedelta(days=1)
BEFORE = START - timedelta(days=1)
# Small ones are read whole, and rightly so.
BIG: tuple[type[models.Model], ...] = (
    AddressConfirmation,
    Mailbox, CheckState, InboxState, Pace, OutMessage, InMessage, Lead, LeadMessage, PoolMember, Exchange, StatusChange,
    AskedCheck, Trial, Suppression,
)  # fmt: skip

# SQLite takes a partial index only where its condition stands in the statement, word for word.
SQLITE_CANNOT = {OutMessage._meta.db_table, InMessage._meta.db_table}


def multiply(row: models.Model, **changes: str) -> None:
    """Copies of a stored row, made by the database; `changes` are SQL expressions of the number `i`, by column."""
    table, quote = row._meta.db_table, connection.ops.quote_name
    names = [str(one.column) for one in row._meta.concrete_fields if not one.generated]
    picked = [changes.get(name, f"t.{quote(name)}") for name in names]
    columns, key = ", ".join(map(quote, names)), str(row._meta.pk.column if row._meta.pk else "id")
    numbers = f"SELECT {FIRST} UNION ALL SELECT i + 1 FROM n WHERE i < {FIRST + ROWS - 1}"  # noqa: S608 - our names
    rows = f"SELECT {', '.join(picked)} FROM n, {quote(table)} t WHERE t.{quote(key)} = %s"  # noqa: S608 - our names
    sql = f"INSERT INTO {quote(table)} ({columns}) WITH RECURSIVE n(i) AS ({numbers}) {rows}"
    with connection.cursor() as cursor:
        cursor.execute(sql, [row.pk])


def text(template: str) -> str:
    """An SQL expression of a text with the number in it."""
    return " || ".join(f"'{part}'" for part in template.split("{}")[:1]) + f" || i || '{template.split('{}')[1]}'"


@pytest.fixture
def filled() -> Mailbox:
    """Every big table with 30,000 rows at rest, and one mailbox with work to do."""
    workspace = make_workspace()
    # Of two workspaces: busy finds a peer at once.
    busy, rest = make_mailbox(workspace=make_workspace()), make_mailbox(workspace=workspace)
    Mailbox.objects.update(status="connected", status_since=BEFORE)
    rest.refresh_from_db()
    InboxState.objects.update(complete_at=START, next_read_at=LATER)
    CheckState.objects.update(next_check_at=LATER)
    Pace.objects.update(next_send_at=BEFORE)
    multiply(rest, id="i", address=text("m{}@many.test"))
    for model in (CheckState, InboxState, Pace):
        multiply(model._default_manager.get(pk=rest.pk), mailbox_id="i")
    confirmed = AddressConfirmation.objects.get(mailbox=rest)
    multiply(confirmed, id="i", mailbox_id="i", address=text("m{}@many.test"))
    change = StatusChange.objects.filter(mailbox=rest).first() or StatusChange.objects.create(
        mailbox=rest, number=1, at=BEFORE, from_status="unverified", to_status="connected"
    )
    multiply(change, id="i", mailbox_id="i")
    _mail(rest)
    _campaigns(busy, rest)
    _warmup(busy, rest)
    InboxState.objects.filter(pk=busy.pk).update(next_read_at=START)
    CheckState.objects.filter(pk=busy.pk).update(next_check_at=START)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":  # narrow rows of 30,000 stand for many more; a page costs as on an SSD
            cursor.execute("SET LOCAL random_page_cost = 1.1")
    return busy


def _mail(rest: Mailbox) -> None:
    out = OutMessage.objects.create(
        mailbox=rest, purpose="warmup", recipient="a@b.test", subject="s", body="b", thread="t", message_id="<t>",
        state="sent", sent_at=BEFORE, on_wire_at=BEFORE, created_at=BEFORE, due_at=BEFORE,
    )  # fmt: skip
    multiply(out, id="i", mailbox_id="i", message_id=text("<w{}@x>"), thread=text("<w{}@x>"))
    OutMessage.objects.filter(pk=out.pk).update(purpose="campaign")
    multiply(out, id=f"i + {ROWS}", mailbox_id="i", message_id=text("<c{}@x>"), thread=text("<c{}@x>"))
    came = InMessage.objects.create(
        mailbox=rest, identity="i", kind="message", role="inbox", uid=1, thread="t", arrived_at=BEFORE
    )
    multiply(came, id="i", mailbox_id="i", identity="'' || i", message_id=text("<in{}@x>"), thread=text("<in{}@x>"))
    for row in (
        AskedCheck.objects.create(mailbox=rest, asked_at=BEFORE, done_at=BEFORE),
        Trial.objects.create(workspace=rest.workspace, address="a@b.test", asked_at=BEFORE, done_at=BEFORE),
    ):
        multiply(row, id="i")


def _campaigns(busy: Mailbox, rest: Mailbox) -> None:
    """One campaign with somebody due, one with 30,000 leads that nothing is due for, and a thousand at rest."""
    small = make_campaign([busy], ["small@people.test"])
    large = make_campaign([rest], ["large@people.test"])
    Campaign.objects.update(state="running")
    Lead.objects.filter(campaign=small).update(due_at=START)
    Lead.objects.filter(campaign=large).update(state="active", home=rest, step=1)
    lead = Lead.objects.get(campaign=large)
    multiply(lead, id="i", email=text("p{}@people.test"), place="i", home_id="i")
    done = LeadMessage.objects.create(lead=lead, step=1, settled=True, out=OutMessage.objects.get(message_id="<t>"))
    multiply(done, id="i", lead_id="i", out_id=f"i + {ROWS}")
    Step.objects.filter(campaign=large, number__gt=1).delete()
    links = Campaign.mailboxes.through
    multiply(links.objects.get(campaign=large), id="i", mailbox_id="i")
    multiply(Suppression.objects.create(workspace=rest.workspace, email="no@x.test"), id="i", email=text("n{}@x.test"))


def _warmup(busy: Mailbox, rest: Mailbox) -> None:
    pool = Pool.objects.create(name="p")
    PoolMember.objects.create(pool=pool, mailbox=busy, next_at=START)
    member = PoolMember.objects.create(pool=pool, mailbox=rest, next_at=LATER)
    multiply(member, id="i", mailbox_id="i", key=f"(i - {FIRST}) * 100000000000000")
    done = Exchange.objects.create(
        out=OutMessage.objects.create(
            mailbox=rest, purpose="warmup", recipient="a@b.test", subject="s", body="b", thread="t", message_id="<e>",
            state="sent", sent_at=BEFORE,
        ),
        sender=member, receiver=member, settled=True, made_at=BEFORE,
    )  # fmt: skip
    multiply(done, id="i", out_id="i", sender_id="i", receiver_id="i")


def run_a_tick(busy: Mailbox) -> None:
    """All that a supervisor and its workers ask of the database in a tick, but for the wire itself."""
    worker.ring(START)
    with transaction.atomic():
        asked.claim(10, START)
        due.claim_due(10, START)
        inbox_due.claim_due(10, START)
        trials.claim(10, START)
        list(removal.waiting(START)[:10])
    rounds.has_mail_to_send(START)
    for take in (take_campaigns, take_warmup):
        take(START)
    keen([busy.pk])
    with transaction.atomic():
        assert campaign_choosing.choose(10, START) == 1
    claim.recover(START)
    lease, rows = claim.claim(10, START)
    assert len(rows) == 1
    claim.hand_over([row.pk for row in rows], lease, START)
    claim.give_back(lease, START)
    OutMessage.objects.filter(pk=rows[0].pk).update(state="sent", sent_at=START)
    Pace.objects.filter(pk=busy.pk).update(next_send_at=START)
    assert warmup_choosing.choose(10, START) == 1
    unknown.sought([busy.pk])
    for take in (take_campaigns, take_warmup):
        take(START)


def plans(statements: list[str]) -> Iterator[tuple[str, str]]:
    """Each statement with its plan."""
    how = "EXPLAIN (FORMAT JSON) " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(how + sql)
            yield sql, json.dumps(cursor.fetchall(), default=str)


def scanned(sql: str, plan: str) -> set[str]:
    """The tables that the plan reads whole."""
    if connection.vendor == "postgresql":
        return set(_seq_scans(json.loads(plan)[0][0]))
    aliases = {alias: table for table, alias in re.findall(r'"(\w+)"(?: AS)? "?(\w+)"?', sql)}
    whole = re.findall(r'"SCAN (\w+)"', plan)
    return {aliases.get(name, name) for name in whole}


def _seq_scans(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _seq_scans(one)
    elif isinstance(node, dict):
        if node.get("Node Type") == "Seq Scan":
            yield node["Relation Name"]
        for value in node.values():
            yield from _seq_scans(value)


def test_code5_nothing_that_each_tick_runs_reads_a_big_table_whole(filled: Mailbox) -> None:
    with CaptureQueriesContext(connection) as queries:
        run_a_tick(filled)
    statements = list(dict.fromkeys(one["sql"] for one in queries))
    statements = [sql for sql in statements if sql.split()[0] in ("SELECT", "UPDATE", "DELETE")]
    assert len(statements) > 40
    big = {model._meta.db_table for model in BIG} - (SQLITE_CANNOT if connection.vendor == "sqlite" else set())
    found = [(sorted(whole), sql) for sql, plan in plans(statements) if (whole := scanned(sql, plan) & big)]
    assert not found, "\n\n".join(f"{tables}: {sql}" for tables, sql in found)


def test_code5_a_scan_is_found_where_there_is_one(filled: Mailbox) -> None:
    """The test above can fail."""
    sql = str(Lead.objects.filter(note="'x'").query)
    [(_sql, plan)] = plans([sql])
    assert scanned(sql, plan) == {"campaigns_lead"}
