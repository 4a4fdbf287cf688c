"""Exactly once, as far as SMTP allows (K4); what a failed send says of the mailbox (H2, H4, X3)."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterable
from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from mailboxes.health import due
from mailboxes.health.evidence import Evidence
from mailboxes.health.record import record
from mailboxes.models import AuditEntry, CheckState, Failure, InboxState, Mailbox, OutMessage
from mailboxes.outbox import claim, queue, sending, unknown
from mailboxes.sandbox.faults import faults
from mailboxes.sandbox.folders import INBOX
from mailboxes.wire import letters
from mailboxes.wire.gate import Gate
from mailboxes.wire.letters import Delivery, Fate
from mailboxes.wire.values import Leg, Report, Stage, Step
from tests.make import IMAP_REFUSED, evidence, make_mailbox, secret
from tests.outbox.conftest import Desk
from tests.post import make_people

pytestmark = pytest.mark.django_db


def test_k4_a_message_is_sent_once_under_its_own_message_id(desk: Desk) -> None:
    row = desk.put()
    assert (desk.send(), desk.send()) == (1, 0)
    assert (desk.state(row), desk.taken(row)) == ("sent", 1)
    sent = email.message_from_bytes(desk.account.folders["Sent"][-1].raw)
    assert (sent["Message-ID"], sent["To"], sent["From"]) == (row.message_id, row.recipient, desk.mailbox.address)


def test_h2_h13_a_send_is_evidence_of_its_leg_and_is_counted(desk: Desk) -> None:
    desk.clock.move(minutes=5)
    desk.put()
    desk.send()
    state = CheckState.objects.get(mailbox=desk.mailbox)
    assert state.smtp["last_ok"] == desk.clock.now.isoformat()
    assert [sum(one[0] for one in window.values()) for window in state.use.values()] == [1, 1]


@pytest.mark.parametrize(("hang_up", "taken"), [("after-accept", 1), ("before-accept", 0)])
def test_k4_a_connection_lost_behind_the_data_leaves_it_unknown_and_not_sent_again(
    desk: Desk, hang_up: str, taken: int
) -> None:
    desk.account.hang_up = hang_up
    row = desk.put()
    desk.send()
    desk.clock.move(minutes=2)
    desk.send()
    assert (desk.state(row), desk.taken(row)) == ("unknown", taken)


def test_k4_what_is_found_in_sent_was_sent(desk: Desk) -> None:
    desk.account.hang_up = "after-accept"
    row = desk.put()
    desk.send()
    desk.heal()
    assert (desk.state(row), desk.taken(row)) == ("sent", 1)


def test_k4_what_a_filing_provider_does_not_hold_goes_out_again_after_a_while(desk: Desk) -> None:
    InboxState.objects.update(saves_sent=True)
    desk.account.hang_up = "before-accept"
    row = desk.put()
    desk.send()
    desk.heal()
    assert desk.state(row) == "unknown"
    desk.clock.move(minutes=9)
    desk.read()
    desk.send()
    assert (desk.state(row), desk.taken(row)) == ("sent", 1)


def test_k4_where_the_provider_files_nothing_an_unknown_one_waits_for_a_person(desk: Desk, support: User) -> None:
    desk.account.saves_sent = False
    first = desk.put()
    desk.send()
    desk.clock.move(minutes=12)
    desk.read()
    assert InboxState.objects.get(mailbox=desk.mailbox).saves_sent is False
    desk.account.hang_up = "before-accept"
    row = desk.put()
    desk.send()
    desk.heal()
    desk.clock.move(hours=3)
    desk.read()
    assert (desk.state(first), desk.state(row), desk.send()) == ("sent", "unknown", 0)
    found = OutMessage.objects.get(pk=row.pk)
    assert unknown.decide(found, sent=False, acting_user_id=support.pk, now=desk.clock.now)
    assert not unknown.decide(found, sent=True, acting_user_id=support.pk, now=desk.clock.now)
    desk.send()
    assert (desk.state(row), desk.taken(row)) == ("sent", 1)
    assert AuditEntry.objects.filter(action="unknown message sent again").count() == 1


def test_k4_a_provider_that_files_copies_is_known_by_the_first_one(desk: Desk) -> None:
    desk.put()
    desk.send()
    desk.clock.move(minutes=12)
    desk.read()
    assert InboxState.objects.get(mailbox=desk.mailbox).saves_sent is True


def test_k4_a_refused_password_holds_the_message_and_stops_the_mailbox(desk: Desk) -> None:
    row, old = desk.put(), desk.account.password
    desk.account.password = secret()
    desk.send()
    found = OutMessage.objects.get(pk=row.pk)
    assert (found.state, found.attempts, desk.status()) == ("queued", 0, "suspect")
    assert set(Failure.objects.values_list("source", "leg")) == {("campaign_send", "smtp"), ("campaign_send", "imap")}
    desk.clock.move(hours=50)
    assert desk.send() == 0
    assert old not in str(list(Failure.objects.values_list("text", flat=True)))


def test_x3_what_imap_accepts_is_not_called_a_wrong_password_by_a_send(desk: Desk) -> None:
    desk.sandbox.set_fault(desk.account.address, faults()["smtp-alone-refuses"])
    desk.put()
    desk.send()
    assert desk.status() == "suspect"


@pytest.mark.parametrize("reply", ["550 5.1.1 No such user here", "554 5.7.1 Message rejected as spam"])
def test_k4_a_refused_recipient_or_content_says_nothing_against_the_mailbox(desk: Desk, reply: str) -> None:
    [person] = make_people(desk.sandbox, 1)
    desk.account.refuses = {person: reply}
    row = desk.put(person)
    desk.send()
    assert (desk.state(row), desk.status()) == ("refused", "connected")
    assert OutMessage.objects.get(pk=row.pk).text == reply


def test_e5_a_recipient_that_is_put_off_is_tried_again_later(desk: Desk) -> None:
    [person] = make_people(desk.sandbox, 1)
    desk.account.refuses = {person: "451 4.7.1 Greylisted, come back later"}
    row = desk.put(person)
    desk.send()
    assert (desk.state(row), desk.status(), desk.send()) == ("queued", "connected", 0)
    desk.account.refuses = {}
    desk.clock.move(minutes=7)
    desk.send()
    assert (desk.state(row), desk.taken(row)) == ("sent", 1)


def test_e5_a_recipient_that_is_put_off_for_a_day_is_given_up_with_the_reason(desk: Desk) -> None:
    [person] = make_people(desk.sandbox, 1)
    desk.account.refuses = {person: "450 4.2.0 Not now"}
    row = desk.put(person)
    for _hour in range(30):
        desk.send()
        desk.clock.move(hours=2)
        InboxState.objects.update(complete_at=desk.clock.now)
    found = OutMessage.objects.get(pk=row.pk)
    assert (found.state, found.text) == ("expired", "450 4.2.0 Not now")


@pytest.mark.parametrize("text", ["554 5.7.1 Message rejected as spam", "550 5.7.1 blocked by policy"])
def test_k4_words_about_a_message_that_come_before_any_message_do_not_end_it(desk: Desk, text: str) -> None:
    row = desk.put()
    step = Step(Stage.GREETING, False, 1, text[:9], text)
    found = sending._settle(row, Delivery(Fate.NOT_SENT, Report(Leg.SMTP, (step,))), desk.clock.now)
    assert found.state == "queued"


def test_h9_a_fault_of_our_own_client_is_not_tried_again_at_once(desk: Desk) -> None:
    row = desk.put()
    found = sending._settle(row, None, desk.clock.now)
    assert found.state == "queued" and found.due_at is not None and found.due_at > desk.clock.now


# ---- the claim and the look before MAIL FROM


def flag(mailbox: Mailbox, at: Desk) -> None:
    record([evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=at.clock.move(seconds=1), version=2)], now=at.clock.now)


def test_w2_nothing_is_claimed_of_a_mailbox_from_the_commit_of_its_status(desk: Desk) -> None:
    desk.put()
    flag(desk.mailbox, desk)
    assert claim.claim(10, desk.clock.now)[1] == []


def leave_work(desk: Desk, row: OutMessage) -> None:
    flag(desk.mailbox, desk)


def take_back(desk: Desk, row: OutMessage) -> None:
    assert queue.cancel([row.pk]) == {row.pk}


def outlive_the_lease(desk: Desk, row: OutMessage) -> None:
    desk.clock.move(minutes=4)


@pytest.mark.parametrize("happens", [leave_work, take_back, outlive_the_lease])
def test_k4_what_changed_between_claim_and_mail_from_stops_the_message(
    desk: Desk, happens: Callable[[Desk, OutMessage], None]
) -> None:
    row = desk.put()
    lease, [claimed] = claim.claim(10, desk.clock.now)
    happens(desk, row)
    assert claim.hand_over([claimed.pk], lease, desk.clock.now) == set()


def test_k4_what_was_handed_over_can_not_be_taken_back(desk: Desk) -> None:
    row = desk.put()
    lease, _rows = claim.claim(10, desk.clock.now)
    assert claim.hand_over([row.pk], lease, desk.clock.now) == {row.pk}
    assert queue.cancel([row.pk]) == set()


@pytest.mark.parametrize(("handed", "state"), [(False, "queued"), (True, "unknown")])
def test_k4_what_a_killed_sender_left_goes_back_or_is_unknown(desk: Desk, handed: bool, state: str) -> None:
    row = desk.put()
    lease, _rows = claim.claim(10, desk.clock.now)
    if handed:
        claim.hand_over([row.pk], lease, desk.clock.now)
    claim.recover(desk.clock.move(minutes=2))
    assert desk.state(row) != state
    claim.recover(desk.clock.move(minutes=2))
    found = OutMessage.objects.get(pk=row.pk)
    assert (found.state, found.attempts) == (state, int(handed))


def test_h2_our_own_slowness_is_no_fault_of_the_mailbox(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    row = desk.put()
    monkeypatch.setattr(letters, "LOOK_S", 0.05)
    monkeypatch.setattr(Gate, "answer", lambda self: None)
    desk.send()
    assert (desk.state(row), desk.status(), desk.taken(row)) == ("queued", "connected", 0)
    assert not Failure.objects.exists()


def test_e12_one_message_of_a_mailbox_goes_out_at_a_time(desk: Desk) -> None:
    desk.put()
    desk.put()
    assert [desk.send() for _batch in range(3)] == [1, 1, 0]


def test_w2_warm_up_mail_stops_where_its_peer_leaves_work(desk: Desk) -> None:
    peer = make_mailbox()
    row = desk.put(peer.address, peer=peer)
    assert desk.send() == 0
    record([evidence(peer, leg) for leg in (Leg.SMTP, Leg.IMAP)], now=desk.clock.now)
    assert desk.send() == 1
    assert desk.state(row) == "sent"


def test_s3_what_no_server_would_take_is_refused_before_it_is_queued(desk: Desk) -> None:
    for recipient in ("no address", "a@b.test>\r\nRCPT TO:<c@d.test"):
        with pytest.raises(ValueError):
            desk.put(recipient)
    assert not OutMessage.objects.exists()


def test_s1_no_secret_stands_in_a_message_that_went_out(desk: Desk) -> None:
    desk.put()
    desk.send()
    raw = desk.account.folders["Sent"][-1].raw + b"".join(one.raw for one in desk.account.folders[INBOX])
    assert desk.account.password.encode() not in raw


@pytest.mark.django_db(transaction=True)
def test_hlt7_a_database_that_restarts_after_the_server_accepted_leaves_no_message_unknown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is in memory; every connection ends before it is written, as a restarted server ends them."""
    row, real, cuts = desk.put(), record, [cut_connection] * 4

    def restarting(found: Iterable[Evidence], *, now: datetime) -> object:
        if cuts:
            cuts.pop()()
        return real(found, now=now)

    monkeypatch.setattr(due, "record", restarting)
    desk.send()
    assert (desk.state(row), desk.taken(row), cuts) == ("sent", 1, [])


def cut_connection() -> None:
    """End this process's connection to the database from outside; SQLite, which has none, fails once."""
    if connection.vendor != "postgresql":
        raise OperationalError("disk I/O error")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
