"""May we connect there? Ports and addresses judged before any packet leaves (SPEC S2; FACTS D1 to D4)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import idna

MAIL_PORTS = frozenset({465, 587, 2525, 993, 143})
TOKEN_PORTS = frozenset({443})
EXCHANGER_PORTS = frozenset({25})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Ranges that some Python's is_global lets through (FACTS D2; IANA's special-purpose registries, read 2026).
_REFUSED = tuple(
    ipaddress.ip_network(net)
    for net in (
        "0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "192.0.0.0/24", "192.88.99.0/24",
        "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "3fff::/20",
    )
)  # fmt: skip
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that IANA has given out for the public internet
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214: the interface id's first half, before an IPv4 address
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class Refused(ValueError):
    """The place must not be connected to; the text says why and what to change."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which ports and addresses may be reached.

    `allowed_networks` with `allowed_ports` open private places on purpose (sandbox, tests);
    a system check refuses them in production.
    """

    ports: frozenset[int] = MAIL_PORTS
    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] = frozenset()

    def check_port(self, port: int) -> None:
        """Raise Refused for a port that is not a mail submission or reading port."""
        if port not in self.ports and port not in self.allowed_ports:
            allowed = ", ".join(str(number) for number in sorted(self.ports))
            raise Refused(f"port {port} is not allowed: use one of {allowed}")

    def check_address(self, text: str) -> Address:
        """Return the address, or raise Refused unless it and every address inside it are public."""
        address = _parsed(text)
        if any(address in network for network in self.allowed_networks):
            return address
        for inner in _with_inner(address):
            if not _is_public(inner):
                raise Refused(f"address {text} is not a public address")
        return address


@lru_cache(4096)
def normal_host(host: str) -> str:
    """Return the host name in lower-case ASCII (IDNA), or raise Refused: no literal address, port or user."""
    name = host.strip(" ").lower()
    if _is_literal(name):
        raise Refused(f"host {host!r} is an address: type the server's name")
    try:
        ascii_name = idna.encode(name, uts46=True).decode() if not name.isascii() else name
    except idna.IDNAError:
        raise Refused(f"host {host!r} is not a valid host name") from None
    labels = ascii_name.split(".")
    if len(ascii_name) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused(f"host {host!r} is not a valid host name: type it as in smtp.example.com")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        raise Refused(f"host {host!r} is an address: type the server's name")
    return ascii_name


@lru_cache(4096)
def _parsed(text: str) -> Address:
    return ipaddress.ip_address(text)


def _is_literal(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _with_inner(address: Address) -> Iterator[Address]:
    """The address itself (unless it only wraps another) and every address that it carries inside."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    inner = _carried(address)
    yield from inner
    wrapper_only = address.ipv4_mapped is not None or address in _NAT64
    if not wrapper_only:
        yield address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and not any(address in net for net in _REFUSED)


def _carried(address: ipaddress.IPv6Address) -> list[Address]:
    inner: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    inner += list(address.teredo or ())
    if address in _NAT64 or (int(address) >> 32 & 0xFFFFFFFF) in _ISATAP:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [carried for carried in inner if carried is not None]
