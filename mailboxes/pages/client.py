"""Who is at the other end of a request."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str:
    """The client's address: behind our proxy the last one that it wrote down, else the connection's own."""
    found = request.META.get("REMOTE_ADDR", "")
    if settings.SECURE_PROXY_SSL_HEADER:
        found = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or found
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        return "0.0.0.0"  # noqa: S104  # "unknown" as a column of addresses wants it


def source_of(request: HttpRequest) -> str:
    """The network that tests are counted by: the address, or an IPv6 customer's /64."""
    address = ipaddress.ip_address(client_ip(request))
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


def number(text: str) -> int:
    """A number as it was sent, 0 for what is none; not every digit of Unicode is one of ours."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def words_of(request: HttpRequest) -> str:
    """What is searched for; PostgreSQL takes no NUL."""
    return request.GET.get("q", "").replace("\0", "").strip()[:254]


def is_live(request: HttpRequest) -> bool:
    """True where htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"
