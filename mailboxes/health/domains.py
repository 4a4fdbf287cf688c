"""Look up the domains of mailboxes that fail, so that signs stand beside the diagnosis (H15).

A domain is looked up once an hour, whatever the number of its mailboxes, and by the connector's own resolver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from mailboxes.models import MailDomain
from mailboxes.providers.discovery import domain_of
from mailboxes.providers.domains import Records, Sign, read
from mailboxes.wire.resolver import NameFault, Resolver

AGAIN_AFTER = timedelta(hours=1)
WITHIN_S = 4.0
AT_ONCE = 20


def look_up(addresses: Iterable[str], resolver: Resolver, now: datetime) -> int:
    """Look up the domains of these addresses, but those looked up lately, and keep what is found. Returns how many.

    What cannot be asked changes nothing that is known. Two queries, whatever the number.
    """
    wanted = {domain_of(address) for address in addresses} - {""}
    known = MailDomain.objects.filter(name__in=wanted, looked_up_at__gt=now - AGAIN_AFTER)
    missing = sorted(wanted - set(known.values_list("name", flat=True)))
    if not missing:
        return 0
    found = zip(missing, asyncio.run(_ask_all(missing, resolver)), strict=True)
    rows = [_row(name, records, now) for name, records in found if records.exists is not None]
    MailDomain.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["name"], update_fields=["looked_up_at", "sign", "exchangers"]
    )
    return len(rows)


def _row(name: str, records: Records, now: datetime) -> MailDomain:
    return MailDomain(
        name=name, looked_up_at=now, sign=read(records).value, exchangers=list(records.exchangers or [])[:10]
    )


async def _ask_all(domains: Sequence[str], resolver: Resolver) -> list[Records]:
    """All within WITHIN_S, whatever a name server does; whose turn has not come by then is not known."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(domain: str) -> Records:
        try:
            async with asyncio.timeout(WITHIN_S), free:
                return await _ask(domain, resolver)
        except TimeoutError:
            return Records(exists=None)

    return await asyncio.gather(*map(one, domains))


async def _ask(domain: str, resolver: Resolver) -> Records:
    try:
        exchangers = await resolver.exchangers(domain)
    except NameFault as fault:
        return Records(exists=False if fault.code == "NXDOMAIN" else None)
    servers, address = await asyncio.gather(_name_servers(domain, resolver), _has_address(domain, resolver))
    return Records(True, exchangers, servers, address)


async def _name_servers(domain: str, resolver: Resolver) -> list[str]:
    """None of them is a sign by itself: an address may be below the zone's top."""
    try:
        return await resolver.name_servers(domain)
    except NameFault:
        return []


async def _has_address(domain: str, resolver: Resolver) -> bool | None:
    try:
        return bool(await resolver.addresses(domain))
    except NameFault as fault:
        return False if fault.code in ("NODATA", "NXDOMAIN") else None


def sign_of(address: str) -> tuple[Sign, list[str]]:
    """What is known of an address's domain, and its mail exchangers."""
    row = MailDomain.objects.filter(name=domain_of(address)).first()
    return (Sign(row.sign), list(row.exchangers)) if row else (Sign.UNKNOWN, [])
