"""New credentials are tested before they replace the stored ones, by real logins (SPEC C5, C6, R3, R4)."""

from __future__ import annotations

from dataclasses import replace as altered
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.health.record import record
from mailboxes.models import Candidate, Credential, Mailbox, StatusChange, Trial
from mailboxes.reconnect import keeping, removal, testing, trials
from mailboxes.reconnect.credentials import Password
from mailboxes.reconnect.keeping import Gone, keep_anyway
from mailboxes.reconnect.settings import SETTINGS
from mailboxes.reconnect.testing import run_trials
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.reconnect.verdict import judge
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.faults import NO_FAULT, Fault, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg
from tests.make import (
    IMAP_REFUSED,
    REFUSED,
    START,
    Clock,
    evidence,
    make_account,
    make_member,
    make_outgoing,
    make_sandbox_mailbox,
    make_workspace,
    place_of,
    secret,
)

pytestmark = pytest.mark.django_db


def broken(sandbox: Sandbox, fault: Fault = NO_FAULT) -> tuple[Mailbox, Account]:
    """Flagged for its password; the account has another one by now."""
    mailbox, account = make_sandbox_mailbox(sandbox, fault)
    account.password = secret()
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk), account


def tried(mailbox: Mailbox, password: str, clock: Clock, **place: Any) -> Trial:
    user = make_member(mailbox.workspace)
    stored = {name: getattr(mailbox, name) for name in (*SETTINGS, "provider")}
    wish = Wish(mailbox.workspace, mailbox.address, stored | place, Password(password), mailbox)
    return begin(wish, acting_user=user, now=clock())


def run(sandbox: Sandbox, clock: Clock, trial: Trial) -> Trial:
    assert run_trials(10, make_outgoing(sandbox, clock)) == 1
    return Trial.objects.get(pk=trial.pk)


def test_r4_a_right_password_clears_the_badge_in_the_test_itself(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox)
    version = mailbox.credential.version
    clock.move(minutes=1)
    done = run(sandbox, clock, tried(mailbox, account.password, clock))
    assert (done.verdict, done.kept_at) == ("passed", clock())
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.needs_reconnect) == ("connected", False)
    assert mailbox.credential.password == account.password and mailbox.credential.version == version + 1
    assert not Candidate.objects.exists()


def test_c5_each_stage_is_told_and_the_message_arrives(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox)
    done = run(sandbox, clock, tried(mailbox, account.password, clock))
    stages = {leg["leg"]: [step["stage"] for step in leg["steps"]] for leg in done.legs}
    assert stages["smtp"] == ["dns", "connect", "tls", "greeting", "auth", "mail", "rcpt", "data"]
    assert stages["imap"] == ["dns", "connect", "tls", "greeting", "auth", "select", "read"]
    assert account.seen["delivered"] == 1


def test_c6_a_wrong_password_keeps_the_stored_one_and_says_why(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _ = broken(sandbox)
    before = Credential.objects.get(mailbox=mailbox)
    done = run(sandbox, clock, tried(mailbox, secret(), clock))
    assert (done.verdict, done.category, done.kept_at) == ("refused", "auth_failed", None)
    after = Credential.objects.get(mailbox=mailbox)
    assert (after.password, after.version) == (before.password, before.version)
    assert Mailbox.objects.get(pk=mailbox.pk).status == "needs_reauth"
    assert not Candidate.objects.exists(), "a refused secret is wiped at once"


def test_c6_a_wrong_password_on_a_working_mailbox_changes_nothing(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _ = make_sandbox_mailbox(sandbox)
    record([evidence(mailbox, Leg.SMTP), evidence(mailbox, Leg.IMAP)], now=START)
    changes = StatusChange.objects.count()
    run(sandbox, clock, tried(mailbox, secret(), clock))
    assert Mailbox.objects.get(pk=mailbox.pk).status == "connected"
    assert StatusChange.objects.count() == changes


def test_c6_what_the_test_cannot_tell_is_saved_on_request(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox, faults()["auth-454"])
    done = run(sandbox, clock, tried(mailbox, account.password, clock))
    assert (done.verdict, done.kept_at) == ("unsure", None)
    assert keeping.may_keep_checking(done)
    keep_anyway(done, send_only=False, acting_user=done_by(done), now=clock())
    kept = Mailbox.objects.get(pk=mailbox.pk)
    assert (kept.status, kept.credential.password) == ("unverified", account.password)
    with pytest.raises(Gone):
        keep_anyway(done, send_only=False, acting_user=done_by(done), now=clock())


def done_by(trial: Trial) -> User:
    assert trial.asked_by is not None
    return trial.asked_by


def imap_refuses() -> Fault:
    """SMTP works; IMAP refuses whatever comes."""
    return altered(faults()["wrong-password"], smtp=NO_FAULT.smtp)


def test_c6_smtp_works_imap_fails_can_be_saved_to_send_only(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox, imap_refuses())
    done = run(sandbox, clock, tried(mailbox, account.password, clock))
    assert (done.verdict, done.note) == ("refused", "SMTP works, IMAP fails.")
    assert keeping.may_send_only(done) and not keeping.may_keep_checking(done)
    kept = keep_anyway(done, send_only=True, acting_user=done_by(done), now=clock())
    assert (kept.wants_smtp, kept.wants_imap, kept.imap_host) == (True, False, mailbox.imap_host)


def test_c6_a_refused_test_cannot_be_saved(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, _ = broken(sandbox)
    done = run(sandbox, clock, tried(mailbox, secret(), clock))
    for send_only in (False, True):
        with pytest.raises(Gone):
            keep_anyway(done, send_only=send_only, acting_user=done_by(done), now=clock())


def test_c6_a_candidate_is_gone_after_ten_minutes(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox, faults()["auth-454"])
    done = run(sandbox, clock, tried(mailbox, account.password, clock))
    clock.move(minutes=10)
    assert trials.expired(clock()).exists()
    trials.claim(1, clock())
    assert not Candidate.objects.exists()
    with pytest.raises(Gone):
        keep_anyway(done, send_only=False, acting_user=done_by(done), now=clock())


def test_r3_only_credential_fields_change(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox)
    names = [field.attname for field in Mailbox._meta.concrete_fields]
    may_move = {"status", "status_since", "state_version", "pause_reason", "auth_failure_open", "settings_fault",
                "needs_reconnect", "category", "actor", "cause_leg", "cause_stage", "cause_rule",
                "cause_text"}  # fmt: skip
    before = {name: getattr(mailbox, name) for name in names}
    run(sandbox, clock, tried(mailbox, account.password, clock))
    after = Mailbox.objects.get(pk=mailbox.pk)
    moved = {name for name in names if getattr(after, name) != before[name]}
    assert moved <= may_move


def test_c2_a_new_mailbox_appears_only_once_it_works(sandbox: Sandbox, clock: Clock) -> None:
    workspace, account = make_workspace(), make_account(sandbox)
    user = make_member(workspace)
    for password, there in ((secret(), False), (account.password, True)):
        wish = Wish(workspace, account.address, place_of(account), Password(password))
        run(sandbox, clock, begin(wish, acting_user=user, now=clock()))
        assert Mailbox.objects.filter(workspace=workspace).exists() is there
    mailbox = Mailbox.objects.get(workspace=workspace)
    assert (mailbox.status, mailbox.tenant) == ("connected", account.address.rpartition("@")[2])


def test_c5_the_server_names_its_folders_where_one_is_missing(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox)
    account.folders["Büro & Co"] = []
    done = run(sandbox, clock, tried(mailbox, account.password, clock, imap_folder="Postfach"))
    assert (done.verdict, done.category) == ("refused", "folder_missing")
    assert done.folders == ["INBOX", "Sent", "Junk", "Büro & Co"]


def test_x3_what_imap_accepts_is_not_called_a_wrong_password(sandbox: Sandbox, clock: Clock) -> None:
    smtp_refuses = altered(faults()["wrong-password"], imap=NO_FAULT.imap)
    mailbox, account = broken(sandbox, smtp_refuses)
    done = run(sandbox, clock, tried(mailbox, account.password, clock))
    assert done.verdict == "unsure" and "IMAP accepts" in done.note


def test_a_worker_that_dies_loses_no_test_and_a_late_one_changes_nothing(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox)
    version, trial = mailbox.credential.version, tried(mailbox, account.password, clock)
    assert [one.pk for one in trials.claim(5, clock())] == [trial.pk]  # and the worker is killed
    assert trials.claim(5, clock()) == []
    clock.move(seconds=trials.LEASE.total_seconds() + 1)
    assert run(sandbox, clock, trial).verdict == "passed"
    assert Credential.objects.get(mailbox=mailbox).version == version + 1


def test_a_test_begun_twice_and_never_ended_is_closed(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox)
    trial = tried(mailbox, account.password, clock)
    for _ in range(trials.MOST_STARTS):
        trials.claim(5, clock())
        clock.move(seconds=trials.LEASE.total_seconds() + 1)
    assert trials.claim(5, clock()) == []
    trial.refresh_from_db()
    assert trial.done_at is not None and "never ended" in trial.note


def test_a_batch_of_tests_costs_a_constant_number_of_queries_each(sandbox: Sandbox, clock: Clock) -> None:
    costs = []
    for count in (1, 4):
        for _ in range(count):
            mailbox, _ = broken(sandbox)
            tried(mailbox, secret(), clock)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            run_trials(10, make_outgoing(sandbox, clock))
        costs.append(len(queries) / count)
    assert costs[1] <= costs[0]


def test_c5_nothing_is_kept_of_a_test_alone_until_it_is_saved(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = broken(sandbox)
    version = mailbox.credential.version
    stored = {name: getattr(mailbox, name) for name in (*SETTINGS, "provider")}
    wish = Wish(mailbox.workspace, mailbox.address, stored, Password(account.password), mailbox, test_only=True)
    done = run(sandbox, clock, begin(wish, acting_user=make_member(mailbox.workspace), now=clock()))
    assert (done.verdict, done.kept_at) == ("passed", None)
    assert Credential.objects.get(mailbox=mailbox).version == version
    assert Mailbox.objects.get(pk=mailbox.pk).status == "needs_reauth"
    keep_anyway(done, send_only=False, acting_user=done_by(done), now=clock())
    assert Credential.objects.get(mailbox=mailbox).password == account.password


def test_c9_a_mailbox_removed_during_the_test_stays_removed_and_the_others_go_on(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, account = broken(sandbox)
    other, others_account = broken(sandbox)
    first = tried(gone, account.password, clock)
    second = tried(other, others_account.password, clock)

    def removed_meanwhile(*args: Any, **values: Any) -> Any:
        if Mailbox.objects.get(pk=gone.pk).removed_at is None:
            removal.remove(gone, acting_user=done_by(first), now=clock())
        return judge(*args, **values)

    monkeypatch.setattr(testing, "judge", removed_meanwhile)
    assert run_trials(10, make_outgoing(sandbox, clock)) == 2
    first.refresh_from_db()
    assert (first.verdict, first.kept_at) == ("unsure", None) and "removed" in first.note
    assert Mailbox.objects.get(pk=gone.pk).removed_at is not None
    assert not Credential.objects.filter(mailbox=gone).exists()
    assert Trial.objects.get(pk=second.pk).verdict == "passed"


def test_two_tests_of_one_new_address_make_one_mailbox(sandbox: Sandbox, clock: Clock) -> None:
    workspace, account = make_workspace(), make_account(sandbox)
    for _ in range(2):
        wish = Wish(workspace, account.address, place_of(account), Password(account.password))
        begin(wish, acting_user=make_member(workspace), now=clock())
    assert run_trials(10, make_outgoing(sandbox, clock)) == 2
    assert set(Trial.objects.values_list("verdict", flat=True)) == {"passed"}
    assert Mailbox.objects.filter(workspace=workspace).count() == 1
