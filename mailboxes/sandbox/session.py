"""What SMTP and IMAP sessions of the sandbox share: accepting, TLS, and faults of the connection itself."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from abc import ABC, abstractmethod

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.authority import Authority
from mailboxes.sandbox.faults import LegFault
from mailboxes.wire.values import Security


class HangUp(Exception):
    """The session ends here."""


class Session(ABC):
    """One connection to one account's server."""

    leg = ""
    encrypted = False
    logged_in = False

    def __init__(
        self, account: Account, authority: Authority, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.account = account
        self.authority = authority
        self.reader = reader
        self.writer = writer

    @property
    def fault(self) -> LegFault:
        """The account's present fault at this server."""
        return self.account.fault.smtp if self.leg == "smtp" else self.account.fault.imap

    @abstractmethod
    async def talk(self) -> None:
        """The protocol, from the greeting on."""

    async def run(self) -> None:
        """Serve the connection to its end; the client may leave at any moment."""
        self.account.seen[f"{self.leg} connections"] += 1
        with contextlib.suppress(HangUp, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
            await self._serve()
        with contextlib.suppress(Exception):
            self.writer.close()

    async def _serve(self) -> None:
        if self.fault.connect == "silent":
            await self.reader.read()
            raise HangUp
        implicit = self.account.security is Security.SSL
        if implicit and self.fault.connect != "plain":
            await self.start_tls()
        await self.talk()

    async def start_tls(self) -> None:
        """Encrypt, with the certificate that the fault wants."""
        host = self.account.hosts[0 if self.leg == "smtp" else 1]
        try:
            await self.writer.start_tls(self.authority.context(host, self.fault.certificate))
        except AttributeError:  # asyncio's way of saying that the connection ended in the handshake
            raise HangUp from None
        self.encrypted = True

    async def line(self) -> str:
        """The client's next line without its end."""
        line = await self.reader.readuntil(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r\n")

    async def say(self, *lines: str) -> None:
        """Send lines."""
        await self.send("".join(f"{line}\r\n" for text in lines for line in text.split("\n")).encode())

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    def cut(self) -> None:
        """End the connection abruptly, in whatever it is doing."""
        self.writer.transport.abort()

    def password_fits(self, plain: str) -> bool:
        """Check a PLAIN message."""
        _, username, password = _decoded(plain).split("\0")
        self.account.seen[f"{self.leg} logins"] += 1
        return self.account.accepts(username, password)

    def token_fits(self, message: str) -> bool:
        """Check an XOAUTH2 message."""
        parts = dict(part.split("=", 1) for part in _decoded(message).split("\x01") if "=" in part)
        self.account.seen[f"{self.leg} logins"] += 1
        return self.account.accepts_token(parts["user"], parts["auth"].removeprefix("Bearer "), self.leg)

    def challenge(self) -> str:
        """The base64 JSON that says why a token was refused."""
        text = self.fault.challenge or json.dumps({"status": "401", "schemes": "bearer", "scope": "mail"})
        return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
