"""Who is at the other end of a request."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(request: HttpRequest) -> Address | None:
    """The client's address: what the outermost of our TRUSTED_PROXIES wrote down, else the connection's own.

    Each proxy appends whom it was asked by to X-Forwarded-For; what stands further left was sent by the client.
    None where neither is an address (a Unix socket without a proxy's header).
    """
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    trusted = min(settings.TRUSTED_PROXIES, len(hops))
    named = read_address(hops[-trusted]) if trusted else None
    return named or read_address(request.META.get("REMOTE_ADDR", ""))


def read_address(text: str) -> Address | None:
    """The address of one hop, which may stand in brackets or quotes and have a port (RFC 7239 section 6)."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def source_of(request: HttpRequest) -> str | None:
    """The network that a client is counted by: an IPv4 address, or the /64 of an IPv6 one, which is one customer's."""
    address = client_address(request)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address) if address else None


def number(text: str) -> int:
    """A number as it was sent, 0 for what is none; not every digit of Unicode is one of ours."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def words_of(request: HttpRequest) -> str:
    """What is searched for."""
    return request.GET.get("q", "").strip()[:254]


def is_live(request: HttpRequest) -> bool:
    """True where htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"
