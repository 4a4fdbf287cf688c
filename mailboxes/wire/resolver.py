"""Names to addresses and mail exchangers, with "no such name" told apart from "could not ask" (SPEC H15)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver


class NameFault(Exception):
    """A look-up failed. `code` is NXDOMAIN, NODATA (the name exists, the record does not) or EAI_AGAIN."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Service:
    """A server of a service, by its SRV record (RFC 2782); host "" says that the service is not offered."""

    host: str
    port: int


class Resolver(Protocol):
    """What is asked of a resolver: addresses to connect to, and what a mail domain says of itself."""

    async def addresses(self, host: str) -> list[str]:
        """Every IPv4 and IPv6 address of `host`, IPv4 first, or raise NameFault."""
        ...

    async def exchangers(self, domain: str) -> list[str]:
        """The mail exchangers of `domain`, the most preferred first ("" for a null MX), or raise NameFault."""
        ...

    async def name_servers(self, domain: str) -> list[str]:
        """The name servers of `domain`, or raise NameFault."""
        ...

    async def services(self, name: str) -> list[Service]:
        """The servers of a service such as `_imaps._tcp.example.com`, the most preferred first, or raise NameFault."""
        ...


class DnsResolver:
    """Asks the system's name servers, or those given as `(address, port)`. Answers are not cached:
    the address that is checked is the one connected to."""

    def __init__(self, nameserver: tuple[str, int] | None = None, lifetime_s: float = 6.0) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=nameserver is None)
        self._resolver.lifetime = lifetime_s
        if nameserver is not None:
            self._resolver.nameservers = [nameserver[0]]
            self._resolver.port = nameserver[1]

    async def addresses(self, host: str) -> list[str]:
        """Every IPv4 and IPv6 address of `host`, IPv4 first. One family may fail: sloppy name servers answer
        AAAA with an error for names that have an A record (RFC 4074)."""
        kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
        answers = await asyncio.gather(*(self._ask(host, kind) for kind in kinds), return_exceptions=True)
        found = [address for answer in answers if isinstance(answer, list) for address in answer]
        if found:
            return found
        raise _fault(host, answers[0])

    async def exchangers(self, domain: str) -> list[str]:
        """The mail exchangers, by preference, in lower case; none where the domain has none."""
        rows = [text.split() for text in await self._records(domain, dns.rdatatype.MX)]
        return [host.lower().rstrip(".") for _preference, host in sorted(rows, key=lambda row: int(row[0]))]

    async def name_servers(self, domain: str) -> list[str]:
        """The name servers, in lower case."""
        return [text.lower().rstrip(".") for text in await self._records(domain, dns.rdatatype.NS)]

    async def services(self, name: str) -> list[Service]:
        """The servers, by priority and weight, in lower case; none where there is no such record."""
        rows = [text.split() for text in await self._records(name, dns.rdatatype.SRV)]
        ordered = sorted(rows, key=lambda row: (int(row[0]), -int(row[1])))
        return [Service(row[3].lower().rstrip("."), int(row[2])) for row in ordered]

    async def _records(self, domain: str, kind: dns.rdatatype.RdataType) -> list[str]:
        try:
            return await self._ask(domain, kind)
        except dns.exception.DNSException as error:
            raise _fault(domain, error) from None

    async def _ask(self, host: str, kind: dns.rdatatype.RdataType) -> list[str]:
        answer = await self._resolver.resolve(host, kind, raise_on_no_answer=False)
        return [record.to_text() for record in answer]


def _fault(host: str, answer: object) -> NameFault:
    """What the A query says of a name without any address."""
    if isinstance(answer, dns.resolver.NXDOMAIN):
        return NameFault("NXDOMAIN", f"{host}: no such host name (NXDOMAIN)")
    if isinstance(answer, BaseException):
        return NameFault("EAI_AGAIN", f"{host}: temporary failure in name resolution ({type(answer).__name__})")
    return NameFault("NODATA", f"{host}: the name has no address record")
