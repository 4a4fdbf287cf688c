"""The customer's page of an address that is not confirmed (SPEC C10)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mailboxes.models import AddressConfirmation, Mailbox
from mailboxes.ownership.asking import start
from mailboxes.ownership.sending import send_due
from mailboxes.pages.standing import why_it_waits
from mailboxes.sandbox.folders import INBOX
from mailboxes.sandbox.server import Sandbox
from tests.make import Clock, make_mailbox, make_member, make_outgoing, make_sandbox_mailbox

pytestmark = pytest.mark.django_db


def signed_in(mailbox: Mailbox) -> Client:
    client = Client()
    client.force_login(make_member(mailbox.workspace))
    return client


def test_c10_the_owner_types_the_code_on_the_page(sandbox: Sandbox, clock: Clock) -> None:
    clock.now = timezone.now()
    mailbox, account = make_sandbox_mailbox(sandbox, confirmed=False)
    Mailbox.objects.filter(pk=mailbox.pk).update(status="connected")
    start(mailbox, clock.now)
    client, url = signed_in(mailbox), reverse("mailbox", args=[mailbox.pk])
    assert "Confirm this address" in client.get(reverse("mailboxes")).content.decode()
    send_due(5, make_outgoing(sandbox, clock))
    page = client.get(url).content.decode()
    assert "Code from the message" in page and "A code was sent to this address" in page
    assert why_it_waits(Mailbox.objects.get(pk=mailbox.pk), clock.now) == "its address is not confirmed yet"
    confirm = reverse("mailbox-confirm", args=[mailbox.pk])
    wrong = client.post(confirm, {"code": "x" * 5000}, follow=True).content.decode()
    assert "That code is not right" in wrong
    found = re.search(rb"Your code:\s+(\S+)", account.folders[INBOX][-1].raw)
    assert found
    right = client.post(confirm, {"code": found.group(1).decode()}, follow=True).content.decode()
    assert "is confirmed" in right and "Code from the message" not in right
    assert "Confirm this address" not in client.get(reverse("mailboxes")).content.decode()


def test_c10_another_workspace_types_and_asks_nothing() -> None:
    mailbox = make_mailbox(confirmed=False)
    client = signed_in(make_mailbox())
    for name in ("mailbox-confirm", "mailbox-confirm-again"):
        assert client.post(reverse(name, args=[mailbox.pk]), {"code": "AAAA-AAAA"}).status_code == 404
    assert not AddressConfirmation.objects.filter(mailbox=mailbox).exists()


def test_c10_asking_again_is_limited_and_told() -> None:
    mailbox = make_mailbox(confirmed=False)
    client, words = signed_in(mailbox), []
    for _time in range(6):
        AddressConfirmation.objects.filter(mailbox=mailbox).update(send_at=None)
        answer = client.post(reverse("mailbox-confirm-again", args=[mailbox.pk]), follow=True)
        words.append(answer.content.decode())
    assert "A new code is on its way" in words[0] and "Too many codes" in words[5]


def test_c10_the_grace_is_told_with_its_day(support_client: Client, support: User) -> None:
    mailbox, until = make_mailbox(confirmed=False), timezone.now() + timedelta(days=14)
    AddressConfirmation.objects.create(mailbox=mailbox, address=mailbox.address, grace_until=until)
    wanted = f"Confirm this address: by {until:%-d %B}"
    assert wanted in signed_in(mailbox).get(reverse("mailbox", args=[mailbox.pk])).content.decode()
    page = support_client.get(reverse("admin:mailboxes_mailbox_change", args=[mailbox.pk])).content.decode()
    assert wanted in page and "No code was sent yet" in page
    other, listed = make_mailbox(), reverse("admin:mailboxes_mailbox_changelist")
    found = support_client.get(f"{listed}?address_is=unconfirmed").content.decode()
    assert mailbox.address in found and "Confirm address" in found and other.address not in found
