"""One-time codes: random, kept as a keyed hash alone, and found in a text again (SPEC C10)."""

from __future__ import annotations

import re
import secrets
from hmac import compare_digest
from itertools import islice

from django.utils.crypto import salted_hmac

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
    normal = code[:MOST_TYPED].upper().translate(_MISREAD)
    return salted_hmac("postmend.ownership", f"{row_id}:{normal}", algorithm="sha256").hexdigest()


def is_code(row_id: int, code: str, code_hash: str) -> bool:
    """Return whether this is the code of that hash."""
    return bool(code_hash) and compare_digest(hash_code(row_id, code), code_hash)


def find_codes(text: str) -> list[str]:
    """Return what looks like a code in a message's text, a few at most: a workspace's name may look like one too."""
    return [found.group() for found in islice(_FOUND.finditer(text), MOST_FOUND)]
