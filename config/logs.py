"""What may not stand in a log: addresses that are keys themselves (SPEC S1, R8)."""

from __future__ import annotations

import logging
import re

# The part of a path that opens something, behind the names of the pages that take one.
_KEY = re.compile(r"(/(?:administrator|invitation|unsubscribe|opened|recover/[^/\s]{1,40})/)[^/\s\"']+")


def without_keys(text: str) -> str:
    """Return the text with the keys of links masked."""
    return _KEY.sub(r"\1[key]", text)


class NoKeysInPaths(logging.Filter):
    """Django logs the path of every refused request: a valid link of an administrator must not be read there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; keep it."""
        record.msg, record.args = without_keys(record.getMessage()), None
        return True
