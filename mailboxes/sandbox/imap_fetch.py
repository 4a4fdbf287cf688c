"""FETCH: a message's items as IMAP writes them."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Sequence

from mailboxes.sandbox.folders import SEEN, Message
from mailboxes.sandbox.imap_words import Refused

_BODY = re.compile(r"BODY(\.PEEK)?\[\](?:<(\d+)\.(\d+)>)?")


def fetched(number: int, message: Message, items: Sequence[str], by_uid: bool, read_only: bool) -> bytes:
    """The untagged FETCH reply. BODY[] without PEEK marks the message as read, and the reply then tells its flags."""
    names = [item.upper() for item in items]
    if by_uid and "UID" not in names:
        names.insert(0, "UID")
    if not read_only and SEEN not in message.flags and any(name.startswith("BODY[") for name in names):
        message.flags.add(SEEN)
        names += [] if "FLAGS" in names else ["FLAGS"]
    return f"* {number} FETCH (".encode() + b" ".join(_item(name, message) for name in names) + b")"


def flags_of(message: Message) -> str:
    """The FLAGS item."""
    return f"FLAGS ({' '.join(sorted(message.flags))})"


def _item(name: str, message: Message) -> bytes:
    if name == "FLAGS":
        return flags_of(message).encode()
    if name == "UID":
        return f"UID {message.uid}".encode()
    if name == "RFC822.SIZE":
        return f"RFC822.SIZE {len(message.raw)}".encode()
    if name == "INTERNALDATE":
        return f"INTERNALDATE {imaplib.Time2Internaldate(message.internal_date)}".encode()
    if body := _BODY.fullmatch(name):
        return _body(body, message.raw)
    raise Refused(f"BAD unknown item: {name}")


def _body(asked: re.Match[str], raw: bytes) -> bytes:
    _, offset, size = asked.groups()
    part = raw if offset is None else raw[int(offset) : int(offset) + int(size)]
    origin = "" if offset is None else f"<{int(offset)}>"
    return f"BODY[]{origin} {{{len(part)}}}\r\n".encode() + part
