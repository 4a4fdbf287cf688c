"""Domains of failing mailboxes, looked up by a real name server (SPEC H15, C3)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mailboxes.health.domains import AGAIN_AFTER, look_up, sign_of
from mailboxes.health.due import check_mailboxes
from mailboxes.health.outgoing import from_settings
from mailboxes.models import Mailbox, MailDomain
from mailboxes.providers.discovery import Origin, discover
from mailboxes.providers.domains import Sign
from mailboxes.sandbox.dns_server import Zone
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.admin.test_mailbox_admin import add, errors, page, text
from tests.make import FAST, START, Clock, make_outgoing, make_sandbox_mailbox

pytestmark = pytest.mark.django_db
_numbers = itertools.count(1)


def zone(sandbox: Sandbox, **records: Any) -> str:
    """A domain with these records; an address in it."""
    domain = f"domain{next(_numbers)}.zone.test"
    sandbox.zones[domain] = Zone(**records)
    sandbox.add(f"anybody@{domain}", "x", fault=NO_FAULT)
    return f"me@{domain}"


@pytest.mark.parametrize(
    ("records", "sign"),
    [
        ({"exchangers": ("mx.example.com",)}, Sign.FINE),
        ({"fault": "nxdomain"}, Sign.GONE),
        ({"exchangers": ("mx.example.com",), "name_servers": ("ns1.renewyourname.net",)}, Sign.EXPIRED),
        ({}, Sign.NO_MX),
        ({"has_address": False}, Sign.NO_ADDRESS),
        ({"exchangers": ("",)}, Sign.NO_MAIL),
    ],
)
def test_h15_a_domain_is_looked_up_and_its_sign_kept(sandbox: Sandbox, records: dict[str, Any], sign: Sign) -> None:
    address = zone(sandbox, **records)
    assert look_up([address], sandbox.connector(FAST).resolver, START) == 1
    assert sign_of(address)[0] is sign


def test_h15_what_cannot_be_asked_changes_nothing_that_is_known(sandbox: Sandbox) -> None:
    address, resolver = zone(sandbox, exchangers=("mx.example.com",)), sandbox.connector(FAST).resolver
    look_up([address], resolver, START)
    sandbox.zones[address.partition("@")[2]].fault = "servfail"
    assert look_up([address], resolver, START + AGAIN_AFTER) == 0
    assert sign_of(address) == (Sign.FINE, ["mx.example.com"])


def test_h15_a_domain_is_asked_once_an_hour_for_all_its_mailboxes(sandbox: Sandbox) -> None:
    address, resolver = zone(sandbox, exchangers=("mx.example.com",)), sandbox.connector(FAST).resolver
    others = [address.replace("me@", f"{name}@") for name in ("you", "she")]
    assert look_up([address, *others], resolver, START) == 1
    assert look_up(others, resolver, START + AGAIN_AFTER / 2) == 0
    assert look_up(others, resolver, START + AGAIN_AFTER) == 1


def test_h15_many_domains_cost_the_same_queries_as_one(sandbox: Sandbox) -> None:
    resolver, counts = sandbox.connector(FAST).resolver, []
    for many in (1, 8):
        addresses = [zone(sandbox, exchangers=("mx.example.com",)) for _ in range(many)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            look_up(addresses, resolver, START)
        counts.append(len(queries))
    assert counts == [2, 2]


def test_h15_a_failing_mailbox_has_its_domain_looked_up_and_a_working_one_has_not(
    sandbox: Sandbox, clock: Clock
) -> None:
    broken, _ = make_sandbox_mailbox(sandbox, faults()["wrong-password"])
    working, _ = make_sandbox_mailbox(sandbox)
    check_mailboxes([broken.pk, working.pk], Source.CHECK, make_outgoing(sandbox, clock))
    looked_up = set(MailDomain.objects.values_list("name", flat=True))
    assert looked_up == {broken.address.partition("@")[2]}


def test_h15_the_sign_stands_beside_the_diagnosis(sandbox: Sandbox, clock: Clock, support_client: Client) -> None:
    broken, _ = make_sandbox_mailbox(sandbox, faults()["wrong-password"])
    domain = broken.address.partition("@")[2]
    sandbox.zones[domain] = Zone(name_servers=("ns1.pendingrenewaldeletion.com",))
    check_mailboxes([broken.pk], Source.CHECK, make_outgoing(sandbox, clock))
    shown = text(support_client, page(broken))
    assert "Wrong password or login" in shown
    assert f"The registration of {domain} has run out" in shown


@pytest.fixture
def sandbox_names(sandbox: Sandbox, settings: Any) -> Iterator[None]:
    """The settings' resolver is the sandbox's."""
    settings.MAIL_RESOLVER = f"127.0.0.1:{sandbox.dns_port}"
    from_settings.cache_clear()
    yield
    from_settings.cache_clear()


def test_c3_a_domain_of_ones_own_fills_hosts_by_its_mx(
    sandbox: Sandbox, sandbox_names: None, support_client: Client
) -> None:
    address = zone(sandbox, exchangers=("aspmx.l.google.com", "alt1.aspmx.l.google.com"))
    assert add(support_client, address=address).status_code == 302
    mailbox = Mailbox.objects.get()
    assert (mailbox.provider, mailbox.smtp_host) == ("google_workspace", "smtp.gmail.com")


@pytest.mark.parametrize("records", [{"exchangers": ("mx.own-server.test",)}, {"fault": "servfail"}, {}])
def test_c3_nothing_found_is_a_normal_result_that_asks_for_the_host(
    sandbox: Sandbox, sandbox_names: None, support_client: Client, records: dict[str, Any]
) -> None:
    address = zone(sandbox, **records)
    assert "Type the server's name" in errors(add(support_client, address=address))["smtp_host"]


def test_c3_an_address_that_is_none_is_not_asked_for(sandbox: Sandbox) -> None:
    web = sandbox.connector(FAST)
    assert discover("nonsense", web.resolver, web).origin is Origin.NOTHING
