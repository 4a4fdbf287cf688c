"""Hashes keyed by SECRET_KEY that outlive it: what was made with one of SECRET_KEY_FALLBACKS counts (SEC-12)."""

from __future__ import annotations

from django.conf import settings
from django.utils.crypto import salted_hmac


def keyed_hash(salt: str, text: str, algorithm: str = "sha1") -> str:
    """Return the hash to be kept from now on, in hexadecimal."""
    return keyed_hashes(salt, text, algorithm)[0]


def keyed_hashes(salt: str, text: str, algorithm: str = "sha1") -> list[str]:
    """Return all hashes by which the text may have been kept, the present key's first."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [salted_hmac(salt, text, secret=key, algorithm=algorithm).hexdigest() for key in keys]
