"""Login strings: PLAIN (RFC 4616), LOGIN, XOAUTH2 (Google's protocol page), and its challenge decoded."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection

from mailboxes.wire import strange_json
from mailboxes.wire.values import Login, SecretKind


def choose(login: Login, offered: Collection[str]) -> str | None:
    """The one mechanism to try, from what the server offers, or None. No second attempt by another (FACTS D11)."""
    wanted = ("XOAUTH2",) if login.kind is SecretKind.ACCESS_TOKEN else ("PLAIN", "LOGIN")
    return next((name for name in wanted if name in offered), None)


def plain(login: Login) -> bytes:
    """The PLAIN message, base64, UTF-8."""
    return _b64(f"\0{login.username}\0{login.secret}")


def xoauth2(login: Login) -> bytes:
    """The XOAUTH2 initial response, base64."""
    return _b64(f"user={login.username}\x01auth=Bearer {login.secret}\x01\x01")


def login_answers(login: Login) -> tuple[bytes, bytes]:
    """User name and password as LOGIN wants them, base64, one after the other."""
    return _b64(login.username), _b64(login.secret)


def explain_challenge(challenge: str) -> str:
    """The JSON that comes with a refused XOAUTH2, as `status=…; schemes=…; scope=…`; "" where it is not that."""
    try:
        raw = base64.b64decode(challenge, validate=True)
    except (ValueError, binascii.Error):
        return ""
    facts = strange_json.read_object(raw)
    return "; ".join(f"{key}={facts[key]}" for key in ("status", "schemes", "scope") if key in facts)


def _b64(text: str) -> bytes:
    return base64.b64encode(text.encode())
