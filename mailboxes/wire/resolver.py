"""Names to addresses and mail exchangers, with "no such name" told apart from "could not ask" (SPEC H15)."""

from __future__ import annotations

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


class Resolver(Protocol):
    """What the connector needs of a resolver; tests and the sandbox pass their own."""

    async def addresses(self, host: str) -> list[str]:
        """Every IPv4 and IPv6 address of `host`, IPv4 first, or raise NameFault."""
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
        """Every IPv4 and IPv6 address of `host`, IPv4 first."""
        try:
            answer = await self._resolver.resolve_name(host)
        except dns.resolver.NXDOMAIN:
            raise NameFault("NXDOMAIN", f"{host}: no such host name (NXDOMAIN)") from None
        except dns.resolver.NoAnswer:
            raise NameFault("NODATA", f"{host}: the name has no address record") from None
        except dns.exception.DNSException as error:
            raise NameFault("EAI_AGAIN", f"{host}: temporary failure in name resolution ({_kind(error)})") from None
        found = sorted(answer.addresses_and_families(), key=lambda pair: pair[1])
        if not found:
            raise NameFault("NODATA", f"{host}: the name has no address record")
        return [address for address, _family in found]


def _kind(error: Exception) -> str:
    return type(error).__name__
