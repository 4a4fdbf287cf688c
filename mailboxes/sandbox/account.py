"""One account at a sandbox provider: its secrets, its folders, its present fault, and what was seen of it."""

from __future__ import annotations

import email
import secrets
from collections import Counter
from dataclasses import dataclass, field

from mailboxes.sandbox.faults import NO_FAULT, Fault
from mailboxes.wire.values import Endpoint, Security


@dataclass
class Message:
    """A message in a folder."""

    uid: int
    raw: bytes

    @property
    def message_id(self) -> str:
        """Its Message-ID header."""
        return str(email.message_from_bytes(self.raw).get("Message-ID", "")).strip()


@dataclass
class Account:
    """The truth about an account. `seen` counts connections, logins and messages by kind."""

    address: str
    password: str = field(repr=False)
    security: Security = Security.SSL
    fault: Fault = NO_FAULT
    folders: dict[str, list[Message]] = field(default_factory=lambda: {"INBOX": []})
    access_tokens: set[str] = field(default_factory=set, repr=False)
    refresh_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    seen: Counter[str] = field(default_factory=Counter)
    smtp: Endpoint | None = None
    imap: Endpoint | None = None

    @property
    def slug(self) -> str:
        """The address as one host label."""
        return self.address.replace("@", "-at-").replace(".", "-")

    @property
    def hosts(self) -> tuple[str, str]:
        """The SMTP and IMAP host names."""
        domain = self.address.rpartition("@")[2]
        return f"smtp.{self.slug}.{domain}", f"imap.{self.slug}.{domain}"

    def deliver(self, raw: bytes, folder: str = "INBOX") -> int:
        """Put a message into a folder; its UID."""
        messages = self.folders.setdefault(folder, [])
        uid = messages[-1].uid + 1 if messages else 1
        messages.append(Message(uid, raw))
        self.seen["delivered"] += 1
        return uid

    def accepts(self, username: str, secret: str) -> bool:
        """True for the right user name with the password."""
        return username == self.address and secrets.compare_digest(secret.encode(), self.password.encode())

    def accepts_token(self, username: str, token: str) -> bool:
        """True for the right user name with a living access token."""
        return username == self.address and token in self.access_tokens
