"""May we connect there? Ports and addresses judged before any packet leaves (SPEC S2; FACTS D1 to D4)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

import idna

MAIL_PORTS = frozenset({465, 587, 2525, 993, 143})
TOKEN_PORTS = frozenset({443})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Ranges that is_global lets through on Python 3.11 (FACTS D2), and those that carry another address inside.
_REFUSED = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.0.0/24", "64:ff9b:1::/48", "169.254.0.0/16", "100.64.0.0/10", "fd00::/8", "fec0::/10")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_LABEL = re.compile(r"^(?!-)[a-z0-9_-]{1,63}(?<!-)$")


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
        address = ipaddress.ip_address(text)
        if any(address in network for network in self.allowed_networks):
            return address
        for inner in _with_inner(address):
            if not inner.is_global or inner.is_multicast or any(inner in net for net in _REFUSED):
                raise Refused(f"address {text} is not a public address")
        return address


def normal_host(host: str) -> str:
    """Return the host name in lower-case ASCII (IDNA), or raise Refused: no literal address, port or user."""
    name = host.strip().lower()
    if _is_literal(name):
        raise Refused(f"host {host!r} is an address: type the server's name")
    try:
        ascii_name = idna.encode(name, uts46=True).decode() if not name.isascii() else name
    except idna.IDNAError:
        raise Refused(f"host {host!r} is not a valid host name") from None
    labels = ascii_name.split(".")
    if len(ascii_name) > 253 or len(labels) < 2 or not all(_LABEL.match(label) for label in labels):
        raise Refused(f"host {host!r} is not a valid host name: type it as in smtp.example.com")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        raise Refused(f"host {host!r} is an address: type the server's name")
    return ascii_name


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


def _carried(address: ipaddress.IPv6Address) -> list[Address]:
    inner: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    inner += list(address.teredo or ())
    if address in _NAT64 or address in _COMPATIBLE:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [carried for carried in inner if carried is not None]
