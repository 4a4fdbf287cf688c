"""The one door: evidence in, status out (SPEC H2 to H9, H13, X3)."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.health import record as record_module
from mailboxes.health.incidents import effects
from mailboxes.health.picking import pick_legs
from mailboxes.health.record import record
from mailboxes.health.snapshots import load
from mailboxes.health.targets import load as load_subjects
from mailboxes.models import CheckState, Credential, Failure, Mailbox, OAuthClient, StaffAlarm, StatusChange
from mailboxes.reconnect.credentials import NewGrant, Password, replace
from mailboxes.reconnect.settings import save
from mailboxes.states import PauseReason, Source, Status, needs_reconnect
from mailboxes.wire.values import Leg, Stage
from tests.make import (
    BAD_CERTIFICATE,
    BAD_CLIENT,
    DAILY_LIMIT,
    IMAP_REFUSED,
    REFUSED,
    START,
    TENANT_OFF,
    TIMED_OUT,
    UNREADABLE,
    caught_up,
    evidence,
    make_mailbox,
    make_workspace,
    refuse,
    secret,
    state_of,
)
from warmup.models import Pool, PoolMember

pytestmark = pytest.mark.django_db


BANNED = (Stage.GREETING, "554", "554 Your IP address has been blocked")


def healthy(**values: Any) -> Mailbox:
    mailbox = make_mailbox(**values)
    record([evidence(mailbox, leg) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


def with_grant() -> Mailbox:
    values = {"token_url": "https://login.example.test/token", "client_secret": secret()}
    client = OAuthClient.objects.register("ours", values)
    mailbox = make_mailbox()
    replace(mailbox, NewGrant(client, secret()), acting_user=None, now=START)
    mailbox = Mailbox.objects.get(pk=mailbox.pk)
    record([evidence(mailbox, leg) for leg in Leg], now=START)
    return mailbox


def later(**by: float) -> Any:
    return START + timedelta(**by)


def test_both_legs_passing_connect_a_mailbox() -> None:
    mailbox = healthy()
    assert (mailbox.status, mailbox.status_since, mailbox.needs_reconnect) == ("connected", START, False)


@pytest.mark.parametrize("source", list(Source))
def test_h2_evidence_of_every_source_moves_the_same_state(source: Source) -> None:
    mailbox = healthy()
    for minutes in (1, 3, 12):
        at = later(minutes=minutes)
        record([evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=at, source=source)], now=at)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.badge) == ("needs_reauth", "Reconnect required")
    assert {change.source for change in StatusChange.objects.filter(mailbox=mailbox, number__gt=1)} == {source}


def test_w2_a_mailbox_is_out_of_work_and_pool_with_the_commit_of_its_status() -> None:
    mailbox = healthy()
    PoolMember.objects.create(pool=Pool.objects.create(name="p"), mailbox=mailbox)
    caught_up(mailbox)
    at = later(minutes=1)
    assert Mailbox.objects.can_send(at).count() == PoolMember.objects.peers(at).count() == 1
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=at)], now=at)
    assert Mailbox.objects.can_send(at).count() == Mailbox.objects.can_read().count() == 0
    assert PoolMember.objects.peers(at).count() == 0
    assert PoolMember.objects.count() == 1


def test_h4_a_refusal_writes_cause_actor_and_exact_words() -> None:
    mailbox = healthy()
    flagged_at = refuse(mailbox, IMAP_REFUSED, Leg.IMAP, at=later(minutes=1))
    mailbox.refresh_from_db()
    assert (mailbox.category, mailbox.actor, mailbox.cause_leg, mailbox.cause_stage) == (
        "auth_failed", "customer", "imap", "auth",
    )  # fmt: skip
    assert mailbox.cause_text == IMAP_REFUSED[2]
    assert state_of(mailbox).next_check_at == flagged_at + timedelta(hours=1)


def test_h7_evidence_of_an_older_credential_is_filed_and_changes_nothing() -> None:
    mailbox = healthy()
    old = mailbox.credential.version
    replace(mailbox, Password(secret()), acting_user=None, now=later(minutes=1))
    mailbox = Mailbox.objects.get(pk=mailbox.pk)
    due = state_of(mailbox).next_check_at
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=later(minutes=2), version=old)], now=later(minutes=2))
    mailbox.refresh_from_db()
    assert mailbox.status == "unverified"
    assert state_of(mailbox).next_check_at == due
    assert Failure.objects.get(mailbox=mailbox).ignored == "older credential"


def test_h7_a_success_of_an_older_credential_connects_nobody() -> None:
    mailbox = make_mailbox()
    record([evidence(mailbox, leg, version=mailbox.credential.version - 1) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    mailbox.refresh_from_db()
    assert mailbox.status == "unverified"


def test_h7_an_attempt_begun_before_the_last_success_changes_nothing() -> None:
    mailbox = healthy()
    begun = START - timedelta(seconds=5)
    record([evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=later(seconds=1), begun=begun)], now=later(seconds=1))
    mailbox.refresh_from_db()
    assert mailbox.status == "connected"
    assert Failure.objects.get(mailbox=mailbox).ignored == "begun before the last success"


def test_h8_a_worker_that_comes_second_reloads_and_decides_again() -> None:
    mailbox = healthy()
    real = load
    raced: list[int] = []

    def race(ids: Any) -> Any:
        found = real(ids)
        if not raced:  # another writer moves the row between our reading and our writing
            raced.append(Mailbox.objects.filter(pk=mailbox.pk).update(state_version=7))
        return found

    with mock.patch.object(record_module, "load", race):
        record([evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=later(minutes=1))], now=later(minutes=1))
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.state_version) == ("suspect", 8)
    assert Failure.objects.filter(mailbox=mailbox).count() == 1


def test_h9_our_own_oauth_fault_raises_one_alarm_and_flags_nobody() -> None:
    mailboxes = [with_grant() for _ in range(3)]
    at = later(minutes=1)
    record([evidence(one, Leg.OAUTH, BAD_CLIENT, at=at) for one in mailboxes], now=at)
    assert set(Mailbox.objects.values_list("status", flat=True)) == {"connected"}
    alarm = StaffAlarm.objects.get()
    assert (alarm.times_seen, alarm.closed_at) == (3, None)
    record([evidence(mailboxes[0], Leg.OAUTH, BAD_CLIENT, at=later(minutes=2))], now=later(minutes=2))
    assert StaffAlarm.objects.get().times_seen == 4


def test_x6_a_ban_of_our_address_raises_one_alarm_of_the_host_and_moves_nobody() -> None:
    mailboxes = [healthy(provider="gmail") for _ in range(3)]
    at = later(minutes=1)
    record([evidence(one, Leg.SMTP, BANNED, at=at) for one in mailboxes], now=at)
    assert set(Mailbox.objects.values_list("status", flat=True)) == {"connected"}
    alarm = StaffAlarm.objects.get()
    assert (alarm.kind, alarm.key, alarm.times_seen) == ("our_address_is_blocked", "provider:google", 3)
    assert all(state_of(one).next_check_at == at + timedelta(minutes=30) for one in mailboxes)  # no login prolongs it


def test_x6_its_alarm_ends_after_six_quiet_hours() -> None:
    mailbox = healthy()
    record([evidence(mailbox, Leg.SMTP, BANNED, at=later(minutes=1))], now=later(minutes=1))
    effects.look(later(hours=5))
    assert StaffAlarm.objects.get().closed_at is None
    effects.look(later(hours=7))
    assert StaffAlarm.objects.get().closed_at == later(hours=7)


def test_h13_a_sending_limit_rests_the_mailbox_and_flags_nobody() -> None:
    mailbox = healthy()
    record([evidence(mailbox, Leg.SMTP, DAILY_LIMIT, at=later(minutes=1))], now=later(minutes=1))
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.needs_reconnect) == ("connected", False)
    for hours, may in ((23, False), (25, True)):
        caught_up(mailbox, later(hours=hours))
        assert Mailbox.objects.can_send(later(hours=hours)).exists() is may
    assert Mailbox.objects.can_read().exists()


def test_h16_a_settings_fault_shows_check_settings_when_confirmed() -> None:
    mailbox = healthy()
    for minute in (1, 11):
        record([evidence(mailbox, Leg.SMTP, BAD_CERTIFICATE, at=later(minutes=minute))], now=later(minutes=minute))
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.badge, mailbox.needs_reconnect) == ("error", "Check settings", False)
    assert list(Mailbox.objects.needing_settings()) == [mailbox]


def test_h5_a_day_of_silence_asks_for_a_reconnect() -> None:
    mailbox = healthy()
    for hours in (1, 1.1, 1.5, 26):
        record([evidence(mailbox, Leg.SMTP, TIMED_OUT, at=later(hours=hours))], now=later(hours=hours))
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.pause_reason, mailbox.badge) == (
        "error", "mailbox_disconnected", "Reconnect required",
    )  # fmt: skip


def test_h10_the_first_of_a_tenant_probes_and_its_pass_wakes_the_others() -> None:
    workspace = make_workspace()
    tenant = [healthy(tenant="acme.test", workspace=workspace) for _ in range(3)]
    stranger = healthy(tenant="other.test")
    at = later(minutes=1)
    record([evidence(one, Leg.SMTP, TENANT_OFF, at=at) for one in [*tenant, stranger]], now=at)
    due = {one.pk: state_of(one).next_check_at for one in [*tenant, stranger]}
    assert {due[one.pk] - at for one in tenant} == {timedelta(seconds=75)}  # once more before it is certain
    at = later(minutes=2, seconds=20)
    record([evidence(one, Leg.SMTP, TENANT_OFF, at=at) for one in [*tenant, stranger]], now=at)
    due = {one.pk: state_of(one).next_check_at for one in [*tenant, stranger]}
    # A round of 45 s from beginning to beginning, less the five in which the worker looks.
    assert due[tenant[0].pk] - at == timedelta(seconds=40)
    cured = later(minutes=3)
    record([evidence(tenant[0], leg, at=cured) for leg in (Leg.SMTP, Leg.IMAP)], now=cured)
    assert [state_of(one).next_check_at for one in tenant[1:]] == [cured, cured]
    assert state_of(stranger).next_check_at == due[stranger.pk]


def test_h3_database_and_policy_agree_on_every_combination() -> None:
    mailbox = make_mailbox()
    for status, is_open, reason in product(Status, (True, False), PauseReason):
        Mailbox.objects.filter(pk=mailbox.pk).update(status=status, auth_failure_open=is_open, pause_reason=reason)
        found = Mailbox.objects.values_list("needs_reconnect", flat=True).get(pk=mailbox.pk)
        assert found is needs_reconnect(status, auth_failure_open=is_open, pause_reason=reason)


def test_evidence_of_a_mailbox_that_is_gone_is_dropped() -> None:
    mailbox = healthy()
    gone = evidence(mailbox, Leg.SMTP, REFUSED)
    Mailbox.objects.filter(pk=mailbox.pk).delete()
    assert record([gone], now=START) == []


def queries(size: int) -> int:
    workspace = make_workspace()  # of one workspace alone: no incident of their provider
    mailboxes = [healthy(workspace=workspace) for _ in range(size)]
    at = later(minutes=1)
    seen = [TIMED_OUT, IMAP_REFUSED, TENANT_OFF, BAD_CLIENT, DAILY_LIMIT]
    batch = [evidence(one, Leg.SMTP, seen[number % len(seen)], at=at) for number, one in enumerate(mailboxes)]
    with CaptureQueriesContext(
        connection,
    ) as captured:
        record(batch, now=at)
    return len(captured)


def test_a_batch_costs_the_same_number_of_queries_for_10_and_60_mailboxes() -> None:
    assert queries(10) == queries(60)


def test_a_passing_check_adds_no_row() -> None:
    mailbox = healthy()
    before = Failure.objects.count(), StatusChange.objects.count()
    record([evidence(mailbox, leg, at=later(minutes=60)) for leg in (Leg.SMTP, Leg.IMAP)], now=later(minutes=60))
    assert (Failure.objects.count(), StatusChange.objects.count()) == before
    assert CheckState.objects.get(mailbox=mailbox).last_check_at == later(minutes=60)


def due_of(mailbox: Mailbox) -> Any:
    return state_of(mailbox).next_check_at


@pytest.mark.parametrize("failure", [DAILY_LIMIT, BAD_CLIENT])
def test_a_failure_that_moves_no_status_does_not_make_a_mailbox_due_at_once(failure: Any) -> None:
    mailbox = with_grant()
    at = later(minutes=61)
    leg = Leg.OAUTH if failure is BAD_CLIENT else Leg.SMTP
    record([evidence(mailbox, leg, failure, at=at)], now=at)
    mailbox.refresh_from_db()
    assert mailbox.status == "connected"
    assert due_of(mailbox) >= at + timedelta(minutes=60)


def test_a_refusal_at_the_greeting_stops_work_whatever_it_speaks_of() -> None:
    mailbox = healthy()
    at = later(minutes=1)
    listed = (Stage.GREETING, "554 5.7.1", "554 5.7.1 Your IP has a poor reputation")
    for minutes in (1, 2):
        at = later(minutes=minutes)
        record([evidence(mailbox, Leg.SMTP, listed, at=at)], now=at)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.needs_reconnect) == ("suspect", False)


def test_h4_a_refused_password_on_one_leg_keeps_the_tenants_probe_from_trying_it() -> None:
    mailbox = healthy(tenant="acme.test")
    at = later(minutes=1)
    both = [evidence(mailbox, Leg.SMTP, TENANT_OFF, at=at), evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=at)]
    record(both, now=at)
    assert due_of(mailbox) == at + timedelta(seconds=75)  # of the refused password alone
    [picked] = pick_legs(load_subjects([mailbox.pk], at), at)
    assert (picked.smtp, picked.imap is not None) == (None, True)


def test_h6_a_passing_fault_on_the_other_leg_adds_no_login_while_unsure() -> None:
    mailbox = healthy()
    at = later(minutes=1)
    both = [evidence(mailbox, Leg.SMTP, TIMED_OUT, at=at), evidence(mailbox, Leg.IMAP, UNREADABLE, at=at)]
    record(both, now=at)
    assert due_of(mailbox) == at + timedelta(minutes=15)


def test_a_success_that_was_seen_before_the_failure_does_not_clear_it() -> None:
    mailbox = healthy()
    refused = evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=later(minutes=2))
    record([refused], now=later(minutes=2))
    record([evidence(mailbox, Leg.IMAP, at=later(minutes=1))], now=later(minutes=3))
    mailbox.refresh_from_db()
    assert mailbox.status == "suspect"


def change(mailbox: Mailbox, at: Any, **values: Any) -> Mailbox:
    for name, value in values.items():
        setattr(mailbox, name, value)
    save(mailbox, changed=list(values), credential=None, acting_user=None, now=at)
    return Mailbox.objects.get(pk=mailbox.pk)


def test_h7_a_check_of_the_old_settings_does_not_overrule_the_new_ones() -> None:
    mailbox = healthy()
    late = evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=later(minutes=3), begun=later(minutes=1))
    good = evidence(mailbox, Leg.SMTP, at=later(minutes=3), begun=later(minutes=1))
    change(mailbox, later(minutes=2), imap_username="right")
    record([late, good], now=later(minutes=3))
    mailbox.refresh_from_db()
    assert (mailbox.status, due_of(mailbox)) == ("unverified", later(minutes=2))


def test_a_corrected_address_is_checked_at_once() -> None:
    mailbox = healthy(address="anna@exmaple.test")
    record([evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=later(minutes=1))], now=later(minutes=1))
    mailbox = change(Mailbox.objects.get(pk=mailbox.pk), later(minutes=2), address="anna@example.test")
    assert (mailbox.status, mailbox.tenant, due_of(mailbox)) == ("unverified", "example.test", later(minutes=2))


def test_h10_a_probe_whose_settings_change_hands_its_tenant_on() -> None:
    tenant = [healthy(tenant="acme.test") for _ in range(2)]
    at = later(minutes=1)
    record([evidence(one, Leg.SMTP, TENANT_OFF, at=at) for one in tenant], now=at)
    change(Mailbox.objects.get(pk=tenant[0].pk), later(minutes=2), smtp_username="other")
    assert due_of(tenant[1]) == later(minutes=2)


def test_an_imap_password_alone_keeps_the_other_one() -> None:
    mailbox = healthy()
    before = mailbox.credential.password
    replace(mailbox, Password(None, secret()), acting_user=None, now=later(minutes=1))
    credential = Credential.objects.get(mailbox=mailbox)
    assert credential.password == before and credential.imap_password
