"""A mailbox that comes and goes is marked, and its customer is told once (SPEC H12)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from mailboxes.health.flapping import Change, is_flapping
from mailboxes.health.record import record
from mailboxes.health.thresholds import DEFAULT
from mailboxes.models import Mailbox, StatusChange
from mailboxes.reconnect.credentials import Password, replace
from mailboxes.states import Source
from mailboxes.wire.values import Leg
from tests.make import REFUSED, START, evidence, make_mailbox, secret
from tests.pages.customers import customer, text

pytestmark = pytest.mark.django_db


def later(**by: float) -> datetime:
    return START + timedelta(**by)


def working() -> Mailbox:
    mailbox = make_mailbox()
    record([evidence(mailbox, leg) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    StatusChange.objects.update(apart=True)  # the first connection is no sign of anything
    return Mailbox.objects.get(pk=mailbox.pk)


def stumble(mailbox: Mailbox, at: datetime, source: Source = Source.CHECK) -> datetime:
    """Refused once, and well a minute later: two changes."""
    again = at + timedelta(minutes=1)
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=at, source=source)], now=at)
    record([evidence(mailbox, leg, at=again, source=source) for leg in (Leg.SMTP, Leg.IMAP)], now=again)
    return again


def marked(mailbox: Mailbox, at: datetime) -> bool:
    return Mailbox.objects.flapping(at).filter(pk=mailbox.pk).exists()


def test_h12_the_fourth_change_in_a_day_marks_it_and_the_third_does_not() -> None:
    mailbox = working()
    assert not marked(mailbox, stumble(mailbox, later(hours=1)))
    third = later(hours=5)
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=third)], now=third)
    assert not marked(mailbox, third)
    fourth = later(hours=5, minutes=1)
    record([evidence(mailbox, leg, at=fourth) for leg in (Leg.SMTP, Leg.IMAP)], now=fourth)
    assert marked(mailbox, fourth)


def test_h12_it_ends_after_six_quiet_hours_and_a_change_begins_them_anew() -> None:
    mailbox = working()
    stumble(mailbox, later(hours=1))
    since = stumble(mailbox, later(hours=2))
    assert marked(mailbox, since + timedelta(hours=5)) and not marked(mailbox, since + timedelta(hours=6))
    last = stumble(mailbox, since + timedelta(hours=5))
    assert marked(mailbox, last + timedelta(hours=5))
    assert Mailbox.objects.get(pk=mailbox.pk).flapping_since == since


def test_h12_changes_more_than_a_day_ago_do_not_count() -> None:
    mailbox = working()
    stumble(mailbox, later(hours=1))
    assert not marked(mailbox, stumble(mailbox, later(hours=27)))


@pytest.mark.parametrize("source", [Source.ASKED, Source.SAVE_TEST])
def test_h12_changes_that_a_person_asked_for_do_not_count(source: Source) -> None:
    mailbox = working()
    for hours in (1, 2, 3):
        stumble(mailbox, later(hours=hours), source)
    assert not marked(mailbox, later(hours=4))


def test_h12_new_passwords_do_not_count() -> None:
    mailbox = working()
    for hours in (1, 2, 3):
        replace(mailbox, Password(secret()), acting_user=None, now=later(hours=hours))
        mailbox = Mailbox.objects.get(pk=mailbox.pk)
        at = later(hours=hours, minutes=1)
        record([evidence(mailbox, leg, at=at) for leg in (Leg.SMTP, Leg.IMAP)], now=at)
    assert not marked(mailbox, later(hours=4))


def test_h12_what_an_incident_did_does_not_count_nor_the_way_back_from_it() -> None:
    changes = [
        Change(later(minutes=at), status, apart)
        for at, status, apart in [
            (0, "suspect", True), (10, "connected", False), (60, "suspect", True), (70, "connected", False),
            (80, "suspect", False), (90, "connected", False),
        ]
    ]  # fmt: skip
    assert not is_flapping(changes, later(minutes=90), DEFAULT)
    again = [*changes, Change(later(minutes=95), "suspect", False), Change(later(minutes=96), "connected", False)]
    assert is_flapping(again, later(minutes=96), DEFAULT)


def test_h12_a_change_while_an_incident_holds_it_is_written_down_as_apart() -> None:
    many = [working() for _ in range(12)]
    at = later(hours=1)
    record([evidence(one, Leg.SMTP, REFUSED, at=at) for one in many], now=at)
    assert set(StatusChange.objects.filter(to_status="suspect").values_list("apart", flat=True)) == {True}


def flapping_now(**values: Any) -> Mailbox:
    mailbox = make_mailbox(**values)
    now = timezone.now()
    Mailbox.objects.filter(pk=mailbox.pk).update(
        status="connected", flapping_since=now - timedelta(hours=1), flapping_until=now + timedelta(hours=5)
    )
    return mailbox


def test_h12_staff_find_it_by_a_filter_and_a_badge(admin_client: Client) -> None:
    mailbox, other = flapping_now(), make_mailbox()
    listed = text(admin_client.get("/admin/mailboxes/mailbox/?flapping=yes"))
    assert mailbox.address in listed and other.address not in listed and "Flapping" in listed
    page = text(admin_client.get(f"/admin/mailboxes/mailbox/{mailbox.pk}/change/"))
    assert "It comes and goes." in page


def test_h12_the_customer_reads_one_note_until_it_ends(admin_user: User) -> None:
    mailbox = flapping_now()
    client = customer(mailbox.workspace)
    assert text(client.get(f"/mailboxes/{mailbox.pk}/")).count("The connection comes and goes.") == 1
    Mailbox.objects.update(flapping_until=timezone.now() - timedelta(minutes=1))
    assert "comes and goes" not in text(client.get(f"/mailboxes/{mailbox.pk}/"))
