"""Which providers vouch for which address (SPEC C10; FACTS A43 to A45)."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from mailboxes.models import AddressConfirmation, Mailbox
from mailboxes.ownership.asking import vouch
from mailboxes.reconnect.oauth.identity import vouched_address
from tests.make import START, make_mailbox

ME = "ann@example.com"


@pytest.mark.parametrize(
    ("provider", "claims", "vouched"),
    [
        ("google", {"email": "Ann@gmail.com", "email_verified": True}, "ann@gmail.com"),
        ("google", {"email": "ann@googlemail.com", "email_verified": "true"}, "ann@googlemail.com"),
        ("google", {"email": ME, "email_verified": True, "hd": "Example.com"}, ME),
        ("google", {"email": ME, "email_verified": True}, ""),
        ("google", {"email": ME, "email_verified": True, "hd": "other.com"}, ""),
        ("google", {"email": ME, "email_verified": True, "hd": ""}, ""),
        ("google", {"email": "ann@gmail.com", "email_verified": False}, ""),
        ("google", {"email": "ann@gmail.com"}, ""),
        ("google", {"email_verified": True, "hd": ""}, ""),
        ("microsoft", {"email": ME, "preferred_username": "Ann@example.com", "xms_edov": True}, ME),
        ("microsoft", {"email": ME, "preferred_username": ME, "xms_edov": "1"}, ME),
        ("microsoft", {"email": ME, "preferred_username": "x@example.com", "xms_edov": True}, ""),
        ("microsoft", {"email": ME, "preferred_username": ME, "xms_edov": False}, ""),
        ("microsoft", {"email": ME, "preferred_username": ME}, ""),
        ("microsoft", {"email": ME, "preferred_username": ME, "email_verified": True}, ""),
        ("microsoft", {"xms_edov": True}, ""),
    ],
)
def test_c10_who_vouches_for_what(provider: str, claims: dict[str, Any], vouched: str) -> None:
    assert vouched_address(provider, claims) == vouched


@pytest.mark.django_db
def test_c10_a_vouched_address_is_confirmed_and_no_other() -> None:
    mailbox = make_mailbox(confirmed=False, wants_imap=False)
    Mailbox.objects.filter(pk=mailbox.pk).update(status="connected")
    vouch(mailbox, "google", START)
    assert Mailbox.objects.can_send(START).exists()
    Mailbox.objects.filter(pk=mailbox.pk).update(address="alias@example.test")
    assert not Mailbox.objects.can_send(START).exists()


@pytest.mark.django_db
def test_c10_the_migration_gives_time_to_what_was_connected_before() -> None:
    made = [make_mailbox(confirmed=False) for _number in range(3)]
    gone = make_mailbox(confirmed=False)
    Mailbox.objects.filter(pk=gone.pk).update(removed_at=START)
    give_time = import_module("mailboxes.migrations.0014_confirmations").give_time
    give_time(apps, None)
    rows = list(AddressConfirmation.objects.order_by("mailbox_id"))
    assert [row.mailbox_id for row in rows] == [one.pk for one in made]
    send_at = [row.send_at for row in rows if row.send_at is not None]
    assert len(set(send_at)) == 3 and max(send_at) - min(send_at) < timedelta(days=1)
    assert all(row.grace_until and row.send_at and row.grace_until > row.send_at + timedelta(days=12) for row in rows)
