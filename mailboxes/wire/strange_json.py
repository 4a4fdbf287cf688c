"""JSON of a stranger, read within bounds: whatever comes, an object or nothing (RFC 8259 section 9). Pure."""

from __future__ import annotations

import json

MOST_BYTES = 65_536
_DEEPEST = 32  # brackets open at once; what providers send has three


def read_object(raw: bytes) -> dict[str, object]:
    """Return the object that `raw` spells; empty where it is too long, too deep, no JSON or no object."""
    if len(raw) > MOST_BYTES or _is_deep(raw):
        return {}
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_deep(raw: bytes) -> bool:
    """Whether more brackets stand open than an honest answer has. Those in strings count as well: nobody needs them."""
    depth = 0
    for byte in raw:
        depth += (byte in b"[{") - (byte in b"]}")
        if depth > _DEEPEST:
            return True
    return False
