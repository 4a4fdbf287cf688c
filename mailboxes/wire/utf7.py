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
