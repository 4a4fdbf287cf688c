"""One account at a sandbox provider: its secrets, its folders, its present fault, and what was seen of it."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field

from mailboxes.sandbox.faults import NO_FAULT, Fault
from mailboxes.sandbox.folders import Folders, Message
from mailboxes.wire.values import Endpoint, Security

__all__ = ["Account", "Message"]


@dataclass
class Account(Folders):
    """The truth about an account. `seen` counts connections, logins and messages by kind."""

    address: str
    password: str = field(repr=False)
    security: Security = Security.SSL
    fault: Fault = NO_FAULT
    access_tokens: set[str] = field(default_factory=set, repr=False)
    refresh_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    older_refresh_tokens: set[str] = field(default_factory=set, repr=False)
    used_refresh_tokens: set[str] = field(default_factory=set, repr=False)
    rotation: str = ""  # "" keeps the token; "new" gives another, the old one lives; "strict": reuse ends the grant
    consent: str = ""  # how a consent ends: "admin" wants an administrator, "no-refresh-token" gives none
    mends: str = field(default="", repr=False)  # a new password: who logs in with it ends the fault at login
    sign_in: str = ""  # the login name; the address where it is empty
    subject: str = field(default_factory=lambda: str(uuid.uuid4()))
    tenant: str = field(default_factory=lambda: str(uuid.uuid4()))
    delegates: list[Account] = field(default_factory=list, repr=False)
    hang_up: str = ""  # once, at the end of a message: "before-accept" takes it not, "after-accept" takes it unsaid
    refuses: dict[str, str] = field(default_factory=dict)  # the reply to RCPT TO, by the recipient's address
    smtp_offers: tuple[str, ...] = ("8BITMIME",)  # extensions after EHLO; what is not offered is refused
    is_at_exchanger: bool = True  # False: the domain's MX leads elsewhere, and no mail from outside comes here
    machine: str = ""  # its servers' names stand below this one, as those of one company's machine do
    smtp: Endpoint | None = None
    imap: Endpoint | None = None

    def __post_init__(self) -> None:
        self.sign_in = self.sign_in or self.address

    @property
    def slug(self) -> str:
        """The address as one host label."""
        return self.address.replace("@", "-at-").replace(".", "-")

    @property
    def hosts(self) -> tuple[str, str]:
        """The SMTP and IMAP host names."""
        if self.machine:
            return f"smtp-{self.slug}.{self.machine}", f"imap-{self.slug}.{self.machine}"
        domain = self.address.rpartition("@")[2]
        return f"smtp.{self.slug}.{domain}", f"imap.{self.slug}.{domain}"

    def accepts(self, username: str, secret: str) -> bool:
        """True for the right user name with the password."""
        if self.mends and secret == self.mends:
            self.password, self.mends = self.mends, ""
            self.mended()
        return username == self.address and secrets.compare_digest(secret.encode(), self.password.encode())

    def accepts_token(self, username: str, token: str, leg: str) -> bool:
        """True for a living access token under the right name: the owner's own, or a delegate's, who reads under this
        address and sends under their own name (FACTS A43)."""
        if username in (self.address, self.sign_in) and token in self.access_tokens:
            return True
        names = {one.sign_in if leg == "smtp" else self.address for one in self.delegates if token in one.access_tokens}
        return username in names

    # ---- grants

    def knows(self, token: str) -> bool:
        """True for a refresh token of this account, also a used one."""
        return token == self.refresh_token or token in self.older_refresh_tokens | self.used_refresh_tokens

    def takes_refresh(self, token: str) -> bool:
        """True for a living refresh token. One that is used twice under strict rotation ends the grant."""
        if token in self.used_refresh_tokens:
            self.end_grants()
            return False
        return token == self.refresh_token or token in self.older_refresh_tokens

    def rotated(self, token: str) -> str:
        """The next refresh token."""
        if self.rotation == "strict":
            self.used_refresh_tokens.add(token)
            self.older_refresh_tokens.discard(token)
            self.refresh_token = _named_like(token)
            return self.refresh_token
        return self.new_refresh_token()

    def new_refresh_token(self) -> str:
        """One more refresh token; the others live on (FACTS A6)."""
        self.older_refresh_tokens.add(self.refresh_token)
        self.refresh_token = _named_like(self.refresh_token)
        return self.refresh_token

    def new_access_token(self) -> str:
        """One more access token."""
        token = _named_like(self.refresh_token)
        self.access_tokens.add(token)
        return token

    def mended(self) -> None:
        """The owner has signed in again, or set a new password: what was wrong with the old one is over."""
        if self.fault.is_of_the_secret:
            self.fault = NO_FAULT

    def end_grants(self) -> None:
        """All grants end at once."""
        self.used_refresh_tokens |= self.older_refresh_tokens | {self.refresh_token}
        self.older_refresh_tokens, self.access_tokens = set(), set()
        self.refresh_token = _named_like(self.refresh_token)


def _named_like(token: str) -> str:
    """A fresh token that keeps a mark which the tests' search for secrets knows."""
    mark = token.partition("-")[0] if token.count("-") else ""
    return f"{mark}-{secrets.token_hex(12)}" if mark else secrets.token_hex(16)
