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


def is_live(request: HttpRequest) -> bool:
    """True where htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"
