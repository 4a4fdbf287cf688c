"""A fault of our own is shown and told, and never held against a mailbox (SRV-4, CODE-9; SPEC H6, H9)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

import pytest

from mailboxes.diagnosis.advice import Place, advise
from mailboxes.diagnosis.categories import Category, Course
from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Reply
from mailboxes.health import due
from mailboxes.health.due import check_due
from mailboxes.health.evidence import Evidence
from mailboxes.health.incidents import effects
from mailboxes.health.record import record
from mailboxes.inbox import plugs
from mailboxes.models import Failure, Mailbox, OutMessage, StaffAlarm
from mailboxes.outbox import sending
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire import faults, imap_grammar, sasl
from mailboxes.wire.letters import send_letter
from mailboxes.wire.values import Login
from tests.make import Clock, make_outgoing, make_sandbox_mailbox, state_of
from tests.outbox.conftest import Desk, desk
from tests.post import make_people, read

__all__ = ["desk"]
pytestmark = pytest.mark.django_db


def broken(*values: object) -> bytes:
    """Fails as our own code might, with a secret in the words."""
    raise KeyError(*[one.secret if isinstance(one, Login) else one for one in values])


def test_srv4_a_fault_of_ours_is_shown_and_moves_no_mailbox(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    outgoing = make_outgoing(sandbox, clock)
    check_due(10, outgoing)
    monkeypatch.setattr(sasl, "plain", broken)
    for _round in range(6):  # more than H6 waits for
        clock.move(hours=2)
        assert check_due(10, outgoing) == 1
    found = Mailbox.objects.get(pk=mailbox.pk)
    assert (found.status, found.category) == ("connected", "")
    failures = list(Failure.objects.filter(mailbox=mailbox))
    assert {(one.code, one.rule, one.actor) for one in failures} == {(faults.CODE, "our-own-fault", "operator")}
    assert {one.leg for one in failures} == {"smtp", "imap"}
    assert "in broken" in caplog.text
    assert account.password not in caplog.text + "".join(one.text for one in failures)


def test_srv4_staff_are_told_of_a_fault_of_ours_once_for_each_place(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _number in range(2):
        make_sandbox_mailbox(sandbox)
    monkeypatch.setattr(sasl, "plain", broken)
    check_due(10, make_outgoing(sandbox, clock))
    alarms = list(StaffAlarm.objects.filter(kind="mistake_in_our_code").order_by("key"))
    assert [(alarm.key.split()[0], alarm.times_seen) for alarm in alarms] == [("imap", 2), ("smtp", 2)]
    assert "test_our_faults" in alarms[0].text
    assert not StaffAlarm.objects.exclude(kind="mistake_in_our_code").exists()


def test_srv4_a_fault_of_ours_beside_the_attempt_is_shown_as_well(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, _account = make_sandbox_mailbox(sandbox)
    outgoing = make_outgoing(sandbox, clock)
    monkeypatch.setattr("mailboxes.health.targets.Subject.target", broken)
    check_due(10, outgoing)
    assert Failure.objects.filter(mailbox=mailbox, code=faults.CODE).count() == 2
    assert state_of(mailbox).last_check_at == clock.now


def test_srv4_a_message_that_our_fault_keeps_back_goes_out_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    row = desk.put()
    with monkeypatch.context() as patched:
        patched.setattr(sasl, "plain", broken)
        desk.send()
    assert (desk.state(row), desk.taken(row), desk.status()) == ("queued", 0, "connected")
    desk.clock.move(minutes=6)
    desk.send()
    assert (desk.state(row), desk.taken(row)) == ("sent", 1)


def test_srv4_a_message_with_our_fault_around_its_sending_is_never_sent_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = desk.put()

    async def broken_after(*values: object) -> None:
        await send_letter(*values)  # type: ignore[arg-type]
        raise KeyError

    monkeypatch.setattr(sending, "send_letter", broken_after)
    desk.send()
    assert (desk.state(row), desk.taken(row)) == (OutMessage.State.UNKNOWN, 1)


def test_srv4_a_fault_of_ours_in_reading_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    make_people(desk.sandbox, 1)
    desk.put(recipient=desk.mailbox.address)
    desk.send()
    monkeypatch.setattr(imap_grammar, "merge_by_uid", broken)
    desk.clock.move(hours=1)
    read(desk.outgoing)
    assert list(Failure.objects.values_list("code", "source", "stage")) == [(faults.CODE, "inbox_read", "read")]
    assert desk.status() == "connected"


def test_srv4_the_rule_wants_our_own_code() -> None:
    said = engine().diagnose(Reply(text="535 5.7.8 einternal: wrong password", leg="smtp", stage="auth", code="535"))
    assert said.course is not Course.OURS


def test_srv4_the_customer_reads_that_it_is_our_mistake() -> None:
    words = faults.words_for(KeyError("x"))  # pages know the words alone
    advice = advise(Category.UNKNOWN, Place("a@example.com"), engine().variant(Category.UNKNOWN, Reply(words)))
    assert "Nothing is wrong with the mailbox" in advice.happened


def test_code9_a_stumbling_app_leaves_its_trace_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    first, second = plugs.apps()
    done: list[int] = []

    def choose(limit: int, _now: datetime) -> int:
        done.append(limit)
        return 1

    monkeypatch.setattr(first, "choose", broken)
    monkeypatch.setattr(second, "choose", choose)
    with caplog.at_level(logging.ERROR):
        assert plugs.choose(5, clock.now) == 1
    assert "in broken" in caplog.text
    assert done == [5]


def test_srv4_an_answer_that_cannot_be_judged_takes_no_other_with_it(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = (make_sandbox_mailbox(sandbox)[0] for _number in range(2))

    def record_all_but_one(items: Sequence[Evidence], now: datetime) -> None:
        if any(item.mailbox_id == bad.pk for item in items):
            raise KeyError
        record(items, now=now)

    monkeypatch.setattr(due, "record", record_all_but_one)
    check_due(10, make_outgoing(sandbox, clock))
    assert Mailbox.objects.get(pk=good.pk).status == "connected"
    assert f"what mailbox {bad.pk} answered cannot be stored: KeyError" in caplog.text


def test_srv4_its_alarm_ends_after_a_quiet_day(sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sandbox_mailbox(sandbox)
    with monkeypatch.context() as patched:
        patched.setattr(sasl, "plain", broken)
        check_due(10, make_outgoing(sandbox, clock))
    for hours, still_open in ((23, True), (2, False)):
        clock.move(hours=hours)
        effects.look(clock.now)
        assert StaffAlarm.objects.filter(closed_at__isnull=True).exists() is still_open
