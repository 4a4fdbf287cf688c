"""Gunicorn's own log, with nothing in it that opens something (SPEC S1, S6; SEC-17)."""

from __future__ import annotations

import re
from typing import Any

from gunicorn.glogging import Logger

from config.logs import NoKeysInPaths, without_keys

# Consent codes, states, and whatever else a browser was sent back with.
_QUERY = re.compile(r"\?[^\s\"]*")


class KeylessLogger(Logger):  # type: ignore[misc]  # the package ships no types
    """Masks the keys of links in whatever a format of the access log may ask for; queries and cookies are left out."""

    def setup(self, cfg: Any) -> None:
        """Set up the two logs; the error log names paths too, at its debug level."""
        super().setup(cfg)
        self.error_log.addFilter(NoKeysInPaths())

    def atoms(self, *request: Any) -> dict[str, Any]:
        """The parts of a line by their letters, as gunicorn's documentation lists them."""
        return {name: _masked(name, value) for name, value in super().atoms(*request).items()}


def _masked(name: str, value: Any) -> Any:
    if name == "q" or "cookie" in name or "authorization" in name or name == "{query_string}e":
        return "-"
    return _QUERY.sub("?-", without_keys(value)) if isinstance(value, str) else value
