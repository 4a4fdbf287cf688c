"""Checks counted by the hour, and what is kept for how long (SPEC O5)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.health import retention
from mailboxes.health.due import check_mailboxes
from mailboxes.health.record import record
from mailboxes.health.retention import prune
from mailboxes.health.rollups import merged
from mailboxes.models import (
    AskedCheck,
    AuditEntry,
    CheckDay,
    Failure,
    InMessage,
    Mailbox,
    MailDomain,
    OutMessage,
    StatusChange,
)
from mailboxes.outbox import unknown
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from mailboxes.wire.values import Leg
from tests.make import (
    REFUSED,
    START,
    TIMED_OUT,
    Clock,
    evidence,
    make_mailbox,
    make_outgoing,
    make_sandbox_mailbox,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def hours(mailbox: Mailbox) -> dict[str, Any]:
    return {str(row.day): row.hours for row in CheckDay.objects.filter(mailbox=mailbox)}


def test_o5_a_passing_check_leaves_no_row_of_its_own(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _ = make_sandbox_mailbox(sandbox)
    outgoing = make_outgoing(sandbox, clock)
    for _hour in range(3):
        check_mailboxes([mailbox.pk], Source.CHECK, outgoing)
        clock.move(hours=1)
    assert (Failure.objects.count(), StatusChange.objects.filter(to_status="connected").count()) == (0, 1)
    (day,) = hours(mailbox).values()
    assert sorted(day) == ["12", "13", "14"]
    passed, failed, total_ms, slowest_ms = day["12"]["smtp"]
    assert (passed, failed) == (1, 0) and 0 < slowest_ms <= total_ms


def test_o5_hours_count_what_passed_what_failed_and_how_long_it_took() -> None:
    mailbox = make_mailbox()
    for minute, failure in enumerate((None, TIMED_OUT, None)):
        at = START + timedelta(minutes=minute)
        record([evidence(mailbox, Leg.SMTP, failure, at=at, took_ms=100 * (minute + 1))], now=at)
    assert hours(mailbox) == {"2026-11-20": {"12": {"smtp": [2, 1, 400, 300]}}}


def test_o5_evidence_is_counted_in_its_own_hour_and_day() -> None:
    mailbox = make_mailbox()
    times = [START, START + timedelta(hours=11, minutes=59), START + timedelta(hours=12)]
    record([evidence(mailbox, Leg.IMAP, at=at) for at in times], now=times[-1])
    assert {day: sorted(found) for day, found in hours(mailbox).items()} == {
        "2026-11-20": ["12", "23"],
        "2026-11-21": ["0"],
    }


def test_merging_changes_nothing_that_was_given() -> None:
    mailbox = make_mailbox()
    before: dict[str, dict[str, list[int]]] = {"12": {"smtp": [1, 0, 5, 5]}}
    merged(before, [evidence(mailbox)])
    assert before == {"12": {"smtp": [1, 0, 5, 5]}}


def test_o5_counting_costs_the_same_queries_for_1_and_20_mailboxes() -> None:
    counts = []
    for many in (1, 20):
        items = [evidence(make_mailbox(), leg) for _ in range(many) for leg in (Leg.SMTP, Leg.IMAP)]
        with CaptureQueriesContext(connection) as queries:
            record(items, now=START)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def history(mailbox: Mailbox, age: timedelta) -> None:
    """One row of each kind, so old."""
    at = START - age
    number = mailbox.status_changes.count() + 1
    values = {"mailbox": mailbox, "at": at, "credential_version": 1, "source": "check"}
    Failure.objects.create(**values, begun_at=at, leg="smtp", stage="auth", category="x", rule="r", actor="customer")
    StatusChange.objects.create(**values, number=number, from_status="connected", to_status="error")
    AskedCheck.objects.create(mailbox=mailbox, asked_at=at, done_at=at)
    CheckDay.objects.create(mailbox=mailbox, day=at.date())
    MailDomain.objects.create(name=f"d{age.days}.test", looked_up_at=at, sign="fine")
    AuditEntry.objects.create(mailbox=mailbox, action="x", at=at)


def kept() -> dict[str, int]:
    models = (Failure, StatusChange, AskedCheck, CheckDay, MailDomain, AuditEntry)
    return {model.__name__: model._default_manager.count() for model in models}


def test_o5_each_kind_of_row_is_kept_for_its_time() -> None:
    mailbox = make_mailbox()
    entries = AuditEntry.objects.count()
    for days in (29, 31, 61, 399, 401):
        history(mailbox, timedelta(days=days))
    prune(START)
    assert kept() == {
        "Failure": 1, "AskedCheck": 1, "MailDomain": 1, "CheckDay": 2, "StatusChange": 4, "AuditEntry": entries + 5,
    }  # fmt: skip


def test_o5_mail_is_kept_for_its_time_and_what_waits_for_good() -> None:
    mailbox = make_mailbox()
    for days in (29, 31, 399, 401):
        at = START - timedelta(days=days)
        for purpose, state in (("warmup", "sent"), ("campaign", "sent"), ("campaign", "queued"), ("reply", "unknown")):
            OutMessage.objects.create(
                mailbox=mailbox, purpose=purpose, state=state, recipient="a@b.test", created_at=at, thread="t",
                message_id=f"<{days}-{purpose}-{state}>",
            )  # fmt: skip
        for kind in ("message", "warmup"):
            InMessage.objects.create(
                mailbox=mailbox, kind=kind, role="inbox", uid=1, identity=f"{days}-{kind}", arrived_at=at, stored_at=at
            )
    prune(START)
    states = Counter(OutMessage.objects.values_list("purpose", "state"))
    assert states == {
        ("warmup", "sent"): 1,
        ("campaign", "sent"): 3,
        ("campaign", "queued"): 4,
        ("reply", "unknown"): 4,
    }
    assert Counter(InMessage.objects.values_list("kind", flat=True)) == {"warmup": 1, "message": 3}


def test_o5_times_are_settings(settings: Any) -> None:
    settings.KEEP_FAILURES_DAYS, settings.KEEP_CHANGES_DAYS, settings.KEEP_ROLLUPS_DAYS = 5, 10, 20
    mailbox = make_mailbox()
    for days in (4, 6, 11, 21):
        history(mailbox, timedelta(days=days))
    prune(START)
    found = kept()
    assert (found["Failure"], found["StatusChange"], found["CheckDay"]) == (1, 2, 3)


def test_o5_much_is_dropped_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = make_mailbox()
    for _ in range(5):
        record([evidence(mailbox, Leg.SMTP, REFUSED)], now=START)
    with CaptureQueriesContext(connection) as queries:
        assert prune(START + 31 * DAY, chunk=2)["failures"] == 5
    deleted = [query["sql"] for query in queries if query["sql"].startswith("DELETE") and "failure" in query["sql"]]
    assert len(deleted) == 3


@pytest.mark.parametrize("hour", range(15))
def test_code12_a_long_table_keeps_no_other_one_waiting(hour: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = make_mailbox()
    for _ in range(60):
        record([evidence(mailbox, Leg.SMTP, REFUSED)], now=START)
    AskedCheck.objects.bulk_create(AskedCheck(mailbox=mailbox, asked_at=START, done_at=START) for _ in range(2))
    seconds = count()  # each look at the clock is a second later: there is time for twenty chunks
    monkeypatch.setattr("mailboxes.health.retention.time.monotonic", lambda: float(next(seconds)))
    done = prune(START + 31 * DAY + timedelta(hours=hour), chunk=1)
    assert done["asked checks"] > 0 and 0 < done["failures"] < 60


def test_code12_each_table_begins_in_its_turn() -> None:
    names = ["a", "b", "c"]
    firsts = [retention._in_turn(names, START + timedelta(hours=hour))[0] for hour in range(3)]
    assert sorted(firsts) == names


def test_code12_what_nobody_knows_of_is_given_up_and_then_pruned() -> None:
    mailbox = make_mailbox()
    for days in (399, 401):
        OutMessage.objects.create(
            mailbox=mailbox, purpose="campaign", state="unknown", recipient="a@b.test", thread="t",
            created_at=START - timedelta(days=days), message_id=f"<{days}>",
        )  # fmt: skip
    assert unknown.give_up(START) == 1
    assert set(OutMessage.objects.values_list("message_id", "state")) == {("<399>", "unknown"), ("<401>", "expired")}
    prune(START)
    assert OutMessage.objects.get().message_id == "<399>"
