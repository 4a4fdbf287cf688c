"""The administrator's page, and the tenant's badges behind it (SPEC R8, H10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mailboxes.health.due import check_due, check_mailboxes
from mailboxes.health.record import record
from mailboxes.models import (
    AskedCheck,
    AuditEntry,
    Mailbox,
)
from mailboxes.reconnect import administrator
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from mailboxes.wire.values import Leg
from tests.make import (
    IMAP_REFUSED,
    REFUSED,
    START,
    TENANT_OFF,
    Clock,
    evidence,
    make_mailbox,
    make_outgoing,
    make_sandbox_mailbox,
    make_workspace,
)
from tests.pages.customers import broken, customer, text

pytestmark = pytest.mark.django_db


def tenant_off(**values: Any) -> Mailbox:
    mailbox = make_mailbox(provider="microsoft365", **values)
    record([evidence(mailbox, Leg.SMTP, TENANT_OFF), evidence(mailbox, Leg.IMAP)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


def link(mailbox: Mailbox) -> str:
    return reverse("administrator", args=[administrator.token_for(mailbox)])


def test_r8_the_link_shows_the_steps_without_a_login_and_nothing_else() -> None:
    mailbox = tenant_off(address="anna@northwind.test")
    offered = text(customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/"))
    assert "/administrator/" in offered
    response = Client().get(link(mailbox))
    page = text(response)
    assert "Authenticated SMTP" in page and "Does not work yet" in page
    for hidden in (mailbox.workspace.name, mailbox.smtp_host, mailbox.imap_host, "535", f"/mailboxes/{mailbox.pk}/"):
        assert hidden not in page
    assert (response["Referrer-Policy"], response["X-Robots-Tag"]) == ("strict-origin", "noindex")


def test_r8_it_works_now_is_told() -> None:
    mailbox = tenant_off()
    url = link(mailbox)
    at = START + timedelta(minutes=1)
    record([evidence(mailbox, Leg.SMTP, at=at), evidence(mailbox, Leg.IMAP, at=at)], now=at)
    assert "It works now" in text(Client().get(url))


def test_r8_another_fault_than_the_administrators_is_not_called_working() -> None:
    mailbox = tenant_off()
    url = link(mailbox)
    at = START + timedelta(minutes=1)
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=at), evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=at)], now=at)
    page = text(Client().get(url))
    assert "It works now" not in page and "waits for its owner" in page and "refuses" not in page


def test_r8_check_again_needs_no_login_and_has_a_limit() -> None:
    mailbox = tenant_off()
    for _ in range(10):
        assert Client().post(link(mailbox)).status_code == 302
        AskedCheck.objects.update(done_at=START)
    response = Client().post(link(mailbox))
    assert response.status_code == 429 and "Too many checks" in response.content.decode()
    assert AskedCheck.objects.count() == 10
    assert AuditEntry.objects.filter(actor__isnull=True, mailbox=mailbox).count() >= 10


def test_r8_a_changed_or_old_link_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = tenant_off()
    token = administrator.token_for(mailbox)
    for bad in (
        token[:-2],
        token + "x",
        "x",
        administrator.token_for(Mailbox(pk=999, category="tenant_smtp_disabled")),
    ):
        assert Client().get(reverse("administrator", args=[bad])).status_code == 404
    monkeypatch.setattr(administrator, "VALID_FOR", timedelta(seconds=-1))
    over = Client().get(reverse("administrator", args=[token]))
    assert over.status_code == 404 and "This link is over" in over.content.decode()


def test_r8_a_wrong_password_is_nothing_for_an_administrator() -> None:
    mailbox = broken()
    assert "/administrator/" not in text(customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/"))


def test_h10_the_tenants_badges_clear_at_the_probes_pass(sandbox: Sandbox, clock: Clock) -> None:

    workspace = make_workspace()
    both = [
        make_sandbox_mailbox(sandbox, faults()["tenant-smtp-off"], workspace=workspace, tenant="northwind.test")
        for _ in range(2)
    ]
    outgoing = make_outgoing(sandbox, clock)
    ids = [mailbox.pk for mailbox, _ in both]
    for _time in range(2):  # H4: named, and the same after a minute
        clock.move(seconds=75)
        check_mailboxes(ids, Source.CHECK, outgoing)
    assert Mailbox.objects.needing_reconnect().count() == 2
    for _, account in both:
        sandbox.set_fault(account.address, NO_FAULT)

    clock.move(seconds=45)
    assert check_due(10, outgoing) == 1, "the tenant's probe alone"
    assert check_due(10, outgoing) == 1, "the others at once after it"
    assert not Mailbox.objects.needing_reconnect().exists()
