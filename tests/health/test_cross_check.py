"""X3: what one leg accepts is no wrong secret; H4 over two legs; H3's second clause."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mailboxes.health.record import record
from mailboxes.models import Mailbox
from mailboxes.reconnect.credentials import Password, replace
from mailboxes.wire.values import Leg
from tests.health.test_record import due_of, healthy, later, with_grant
from tests.make import (
    IMAP_REFUSED,
    REFUSED,
    START,
    TENANT_OFF,
    TIMED_OUT,
    evidence,
    make_mailbox,
    secret,
)

pytestmark = pytest.mark.django_db


def test_x3_what_imap_accepts_is_not_called_a_wrong_password() -> None:
    mailbox = healthy()
    at = later(minutes=1)
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=at), evidence(mailbox, Leg.IMAP, at=at)], now=at)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.category, mailbox.needs_reconnect) == ("suspect", "unknown", False)


def test_x3_two_secrets_are_judged_apart() -> None:
    mailbox = make_mailbox()
    replace(mailbox, Password(secret(), secret()), acting_user=None, now=START)
    mailbox = Mailbox.objects.get(pk=mailbox.pk)
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP)], now=START)
    mailbox.refresh_from_db()
    assert mailbox.status == "needs_reauth"


@pytest.mark.parametrize("refused", [Leg.SMTP, Leg.IMAP])
def test_x3_what_one_leg_accepts_is_no_wrong_secret_of_a_grant_either(refused: Leg) -> None:
    mailbox, at = with_grant(), later(minutes=1)
    words = {Leg.SMTP: REFUSED, Leg.IMAP: IMAP_REFUSED}
    legs = [evidence(mailbox, leg, words[leg] if leg is refused else None, at=at) for leg in (Leg.SMTP, Leg.IMAP)]
    record(legs, now=at)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.category, mailbox.cause_leg) == ("suspect", "unknown", refused.value)
    assert mailbox.cause_rule in ("smtp-refuses-what-imap-accepts", "imap-refuses-what-smtp-accepts")


def test_x3_one_leg_that_refuses_for_hours_asks_nobody_to_reconnect() -> None:
    mailbox = healthy()
    for minutes in (1, 16, 61, 121, 181, 300):
        at = later(minutes=minutes)
        record([evidence(mailbox, Leg.SMTP, at=at), evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=at)], now=at)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.needs_reconnect) == ("error", False)


def test_x3_a_reply_that_names_its_cause_stands_whatever_the_other_leg_says() -> None:
    mailbox, at = healthy(), later(minutes=1)
    record([evidence(mailbox, Leg.SMTP, TENANT_OFF, at=at), evidence(mailbox, Leg.IMAP, at=at)], now=at)
    mailbox.refresh_from_db()
    assert mailbox.category == "tenant_smtp_disabled"


def test_x3_a_login_of_another_check_does_not_count() -> None:
    mailbox = healthy()
    record([evidence(mailbox, Leg.IMAP, at=later(minutes=1))], now=later(minutes=1))
    at = later(minutes=2)
    imap = evidence(mailbox, Leg.IMAP, at=at, begun=at - timedelta(seconds=30))
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=at), imap], now=at)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.category) == ("suspect", "auth_failed")


def test_x3_a_leg_with_another_user_name_says_nothing_of_this_one() -> None:
    mailbox = healthy(smtp_username="relay")
    at = later(minutes=1)
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=at), evidence(mailbox, Leg.IMAP, at=at)], now=at)
    mailbox.refresh_from_db()
    assert mailbox.category == "auth_failed"


def test_h4_both_legs_refusing_are_two_logins_and_one_more_after_ten_minutes_flags() -> None:
    mailbox = healthy()
    at = later(minutes=1)
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=at), evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=at)], now=at)
    mailbox.refresh_from_db()
    assert (mailbox.status, due_of(mailbox)) == ("suspect", at + timedelta(minutes=10, seconds=15))
    third = later(minutes=11, seconds=15)
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=third)], now=third)
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.pause_reason) == ("needs_reauth", "auth_failure")


def test_h3_an_open_refusal_and_a_dead_other_leg_need_a_reconnect() -> None:
    """The rule's second clause: error, and a leg's open failure is an authentication failure."""
    mailbox = make_mailbox()
    replace(mailbox, Password(secret(), secret()), acting_user=None, now=START)
    mailbox = Mailbox.objects.get(pk=mailbox.pk)
    record([evidence(mailbox, leg) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=later(minutes=1))], now=later(minutes=1))
    for minutes in (1.5, 3, 12):
        record([evidence(mailbox, Leg.IMAP, TIMED_OUT, at=later(minutes=minutes))], now=later(minutes=minutes))
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.auth_failure_open, mailbox.needs_reconnect) == ("error", True, True)
    assert mailbox.pause_reason == ""
