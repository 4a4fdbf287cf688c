"""From an address to settings (SPEC C3; FACTS C8, C9): domain table, MX, SRV, https autoconfig, defaults.

No secret takes part, nothing is asked over plain http, and all of it ends within eight seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from mailboxes.providers.autoconfig import Autoconfig, parse
from mailboxes.providers.domains import filter_of
from mailboxes.providers.presets import Preset, by_address, by_mx
from mailboxes.wire.addresses import Refused, normal_host
from mailboxes.wire.connector import Connector
from mailboxes.wire.http import HttpRequest, fetch
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.resolver import NameFault, Resolver, Service
from mailboxes.wire.values import Endpoint, Leg, Security, WireFault

MX_S, SRV_S, AUTOCONFIG_S = 2.0, 2.0, 3.0
# RFC 6186 and RFC 8314: implicit TLS first.
_SMTP_SERVICES = (("_submissions._tcp", Security.SSL), ("_submission._tcp", Security.STARTTLS))
_IMAP_SERVICES = (("_imaps._tcp", Security.SSL), ("_imap._tcp", Security.STARTTLS))
ResultT = TypeVar("ResultT")


class Origin(StrEnum):
    """Where settings were found."""

    TABLE = "table"
    MX = "mx"
    SRV = "srv"
    AUTOCONFIG = "autoconfig"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Found:
    """Settings for an address. `behind` names a filter that hides the provider (FACTS B4); `foreign` is true where a
    server lies outside the address's domain and its owner has to confirm it (RFC 6186 section 6)."""

    origin: Origin
    preset: Preset | None = None
    smtp: Endpoint | None = None
    imap: Endpoint | None = None
    smtp_username: str = ""
    imap_username: str = ""
    behind: str = ""
    foreign: bool = False


def domain_of(address: str) -> str:
    """The mail domain as it stands in the DNS; "" for none that could."""
    try:
        return normal_host(address.rpartition("@")[2])
    except Refused:
        return ""


def discover(address: str, resolver: Resolver, web: Connector, *, port: int = 443) -> Found:
    """The settings for an address; Origin.NOTHING is a normal result. `web` may reach `port`."""
    if (preset := by_address(address)) is not None:
        return Found(Origin.TABLE, preset, preset.smtp, preset.imap)
    domain = domain_of(address)
    return asyncio.run(_discover(address, domain, resolver, web, port)) if domain else Found(Origin.NOTHING)


async def _discover(address: str, domain: str, resolver: Resolver, web: Connector, port: int) -> Found:
    exchangers = await _exchangers(domain, resolver)
    preset, behind = by_mx(exchangers), filter_of(exchangers)
    if preset is not None and not behind:
        return Found(Origin.MX, preset, preset.smtp, preset.imap)
    services = asyncio.create_task(_by_services(domain, resolver))
    document = asyncio.create_task(_by_autoconfig(address, domain, web, port))
    found = await services
    if found is None:
        found = await document
    else:
        document.cancel()
    if found is None:
        return Found(Origin.NOTHING, behind=behind)
    return Found(
        found[0], None, found[1].smtp, found[1].imap, found[1].smtp_username, found[1].imap_username, behind,
        foreign=_is_foreign(found[1], domain),
    )  # fmt: skip


async def _exchangers(domain: str, resolver: Resolver) -> list[str]:
    return await _within(MX_S, resolver.exchangers(domain)) or []


async def _by_services(domain: str, resolver: Resolver) -> tuple[Origin, Autoconfig] | None:
    kinds = (*_SMTP_SERVICES, *_IMAP_SERVICES)
    answers = await asyncio.gather(*(_within(SRV_S, resolver.services(f"{kind}.{domain}")) for kind, _ in kinds))
    places = [
        _place(services, security) if services else None for services, (_, security) in zip(answers, kinds, strict=True)
    ]
    smtp, imap = places[0] or places[1], places[2] or places[3]
    return (Origin.SRV, Autoconfig(smtp, imap)) if smtp or imap else None


def _place(services: list[Service], security: Security) -> Endpoint | None:
    """Some publish `_submission` with port 465: that is implicit TLS (FACTS C2)."""
    first = services[0]
    try:
        host = normal_host(first.host)
    except Refused:
        return None
    implicit = first.port in (465, 993)
    return Endpoint(host, first.port, Security.SSL if implicit else security)


async def _by_autoconfig(address: str, domain: str, web: Connector, port: int) -> tuple[Origin, Autoconfig] | None:
    urls = (
        f"https://autoconfig.{domain}:{port}/mail/config-v1.1.xml",
        f"https://{domain}:{port}/.well-known/autoconfig/mail/config-v1.1.xml",
    )
    for document in await asyncio.gather(*(_within(AUTOCONFIG_S, _document(url, web)) for url in urls)):
        if document and (offered := parse(document, address)) is not None:
            return Origin.AUTOCONFIG, offered
    return None


async def _document(url: str, web: Connector) -> bytes:
    """The document without a redirect followed: an own domain answers itself."""
    answer = await fetch(HttpRequest("GET", url), web, Recorder(Leg.IMAP))
    return answer.body if answer.status == 200 else b""


async def _within(seconds: float, work: Awaitable[ResultT]) -> ResultT | None:
    """The result; None where there is none in time."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except (NameFault, WireFault, TimeoutError):
        return None


def _is_foreign(offered: Autoconfig, domain: str) -> bool:
    hosts = [place.host for place in (offered.smtp, offered.imap) if place is not None]
    return any(host != domain and not host.endswith("." + domain) for host in hosts)
