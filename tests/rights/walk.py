"""Every address of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

PART = re.compile(r"<(?:\w+:)?(\w+)>")


def routes(patterns: Any = None, before: str = "/") -> Iterator[str]:
    """Every route, as in "/mailboxes/<int:pk>/"; but for the admin's last one, which answers 404 to everything else."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, route)
        elif isinstance(one, URLPattern) and "(?P" not in route:
            yield route


ROUTES = sorted(set(routes()))
