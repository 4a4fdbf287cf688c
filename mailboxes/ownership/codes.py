"""One-time codes: random, kept as a keyed hash alone, and found in a text again (SPEC C10)."""

from __future__ import annotations

import re
import secrets
from itertools import islice

from django.utils.crypto import constant_time_compare

from mailboxes.models.hashes import keyed_hashes

# Crockford's base 32: no letter that is taken for a digit. 40 bits, five attempts.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUP = 4
_FOUND = re.compile(rf"\b[{_ALPHABET}]{{{_GROUP}}}-[{_ALPHABET}]{{{_GROUP}}}\b")
_MISREAD = str.maketrans("OIL", "011", "- \t\r\n\N{NO-BREAK SPACE}")
MOST_TYPED = 40
MOST_FOUND = 20


def new_code() -> str:
    """Return a code as people read it, as in 7K2M-9QXD."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(2 * _GROUP))
    return f"{letters[:_GROUP]}-{letters[_GROUP:]}"


def hash_code(row_id: int, code: str) -> str:
    """Return the keyed hash of a code for one confirmation: in another mailbox the same code is worth nothing."""
    return _hashes(row_id, code)[0]


def is_code(row_id: int, code: str, code_hash: str) -> bool:
    """Return whether this is the code of that hash."""
    return bool(code_hash) and any(constant_time_compare(one, code_hash) for one in _hashes(row_id, code))


def _hashes(row_id: int, code: str) -> list[str]:
    normal = code[:MOST_TYPED].upper().translate(_MISREAD)
    return keyed_hashes("postmend.ownership", f"{row_id}:{normal}", "sha256")


def find_codes(text: str) -> list[str]:
    """Return what looks like a code in a message's text, a few at most: a workspace's name may look like one too."""
    return [found.group() for found in islice(_FOUND.finditer(text), MOST_FOUND)]
