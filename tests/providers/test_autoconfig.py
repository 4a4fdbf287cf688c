"""Autoconfig documents, honest and hostile, and discovery in its order (SPEC C3; FACTS C1 to C9)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailboxes.providers.autoconfig import parse
from mailboxes.providers.discovery import Origin, discover
from mailboxes.sandbox.dns_server import Zone
from mailboxes.sandbox.http_server import Answered, Asked
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.connector import Connector
from mailboxes.wire.values import Endpoint, Security
from tests.make import FAST

ADDRESS = "anna@own-domain.test"
DOCUMENT = """<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="own-domain.test">
<incomingServer type="pop3"><hostname>pop.x.test</hostname><port>995</port><socketType>SSL</socketType></incomingServer>
<incomingServer type="imap"><hostname>imap.x.test</hostname><port>143</port><socketType>plain</socketType>
</incomingServer>
<incomingServer type="imap"><hostname>imap.%EMAILDOMAIN%</hostname><port>993</port><socketType>SSL</socketType>
<username>%EMAILLOCALPART%</username></incomingServer>
<outgoingServer type="smtp"><hostname>smtp.own-domain.test</hostname><port>587</port><socketType>STARTTLS</socketType>
<username>%EMAILADDRESS%</username></outgoingServer></emailProvider></clientConfig>"""
SMTP = Endpoint("smtp.own-domain.test", 587, Security.STARTTLS)
IMAP = Endpoint("imap.own-domain.test", 993, Security.SSL)


def test_c3_the_first_encrypted_server_of_each_kind_is_taken() -> None:
    found = parse(DOCUMENT.encode(), ADDRESS)
    assert found is not None
    assert (found.smtp, found.imap) == (SMTP, IMAP)
    assert (found.smtp_username, found.imap_username) == (ADDRESS, "anna")


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><clientConfig>&b;</clientConfig>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><clientConfig>&f;</clientConfig>'


@pytest.mark.parametrize("document", ["", "<", "no xml", "<html></html>", BOMB, OUTSIDE, "\0", "<a>" * 5000])
def test_s2_a_document_that_is_none_or_hostile_gives_nothing(document: str) -> None:
    assert parse(document.encode(), ADDRESS) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("smtp.own-domain.test", "127.0.0.1"),
        ("smtp.own-domain.test", "smtp.own-domain.test:25"),
        ("<port>587</port>", "<port>25</port>"),
        ("<port>587</port>", "<port>-1</port>"),
        ("<port>587</port>", "<port>²</port>"),
        ("STARTTLS", "plain"),
    ],
)
def test_s2_a_server_that_may_not_be_reached_is_passed_over(old: str, new: str) -> None:
    found = parse(DOCUMENT.replace(old, new).encode(), ADDRESS)
    assert found is not None and found.smtp is None and found.imap == IMAP


@pytest.fixture
def web(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    yield sandbox.connector(FAST)
    sandbox.zones.clear()


def zone(sandbox: Sandbox, **values: object) -> None:
    sandbox.zones["own-domain.test"] = Zone(**values)  # type: ignore[arg-type]


def found_at(sandbox: Sandbox, web: Connector) -> Origin:
    return discover(ADDRESS, web.resolver, web, port=sandbox.token_port).origin


def test_c3_a_known_domain_asks_nobody(sandbox: Sandbox, web: Connector) -> None:
    found = discover("anna@gmail.com", web.resolver, web)
    assert (found.origin, found.preset and found.preset.id) == (Origin.TABLE, "gmail")


def test_c3_the_mail_exchanger_tells_the_provider(sandbox: Sandbox, web: Connector) -> None:
    sandbox.add(ADDRESS, "x")
    zone(sandbox, exchangers=("aspmx.l.google.com",))
    found = discover(ADDRESS, web.resolver, web)
    assert (found.origin, found.preset and found.preset.id) == (Origin.MX, "google_workspace")


def test_c3_service_records_name_the_servers(sandbox: Sandbox, web: Connector) -> None:
    sandbox.add(ADDRESS, "x")
    services = {"_imaps._tcp": ("imap.own-domain.test", 993), "_submission._tcp": ("smtp.own-domain.test", 587)}
    zone(sandbox, exchangers=("mx.own-domain.test",), services=services)
    found = discover(ADDRESS, web.resolver, web)
    assert (found.origin, found.smtp, found.imap, found.foreign) == (Origin.SRV, SMTP, IMAP, False)


def test_c3_servers_outside_the_domain_are_to_be_confirmed(sandbox: Sandbox, web: Connector) -> None:
    sandbox.add(ADDRESS, "x")
    zone(sandbox, services={"_imaps._tcp": ("imap.elsewhere.test", 993)})
    assert discover(ADDRESS, web.resolver, web).foreign


def test_c3_a_submission_record_with_port_465_means_implicit_tls(sandbox: Sandbox, web: Connector) -> None:
    sandbox.add(ADDRESS, "x")
    zone(sandbox, services={"_submission._tcp": ("smtp.own-domain.test", 465)})
    assert discover(ADDRESS, web.resolver, web).smtp == Endpoint("smtp.own-domain.test", 465, Security.SSL)


def test_c3_autoconfig_is_asked_over_https_alone(
    sandbox: Sandbox, web: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.add(ADDRESS, "x")
    zone(sandbox, exchangers=("mx.own-domain.test",))
    asked: list[str] = []

    def respond(request: Asked) -> Answered:
        asked.append(request.path)
        return Answered(200, DOCUMENT, "text/xml")

    with sandbox.website("own-domain.test", respond) as port:
        opened = sandbox.connector(FAST)
        found = discover(ADDRESS, opened.resolver, opened, port=port)
    assert (found.origin, found.smtp, found.imap) == (Origin.AUTOCONFIG, SMTP, IMAP)
    assert asked == ["/.well-known/autoconfig/mail/config-v1.1.xml"]


def test_c3_nothing_found_is_a_normal_result(sandbox: Sandbox, web: Connector) -> None:
    sandbox.add(ADDRESS, "x")
    zone(sandbox)
    assert found_at(sandbox, web) is Origin.NOTHING


def test_b4_a_filter_before_the_domain_is_named(sandbox: Sandbox, web: Connector) -> None:
    sandbox.add(ADDRESS, "x")
    zone(sandbox, exchangers=("eu-smtp-inbound-1.mimecast.com",))
    found = discover(ADDRESS, web.resolver, web)
    assert found.origin is Origin.NOTHING and found.behind
