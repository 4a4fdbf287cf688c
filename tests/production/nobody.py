"""A site that answers everything with 200, for the web server's own tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The whole of it."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"yes"]
