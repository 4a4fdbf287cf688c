"""Folder names in IMAP's modified UTF-7 (RFC 3501 5.1.3)."""

from __future__ import annotations

import base64
import re

_FOREIGN = re.compile(r"[^\x20-\x7e]+")


def encode_folder(name: str) -> str:
    """The folder's name as the server wants it, ASCII only."""
    return _FOREIGN.sub(_shifted, name.replace("&", "&-"))


def _shifted(found: re.Match[str]) -> str:
    packed = base64.b64encode(found.group().encode("utf-16-be")).decode()
    return "&" + packed.rstrip("=").replace("/", ",") + "-"


_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def decode_folder(name: str) -> str:
    """A server's name of a folder as people read it; one that cannot be read stays as it is."""
    try:
        return _SHIFTED.sub(_unshifted, name)
    except ValueError:
        return name


def _unshifted(found: re.Match[str]) -> str:
    packed = found.group(1).replace(",", "/")
    return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be") if packed else "&"
