"""The two mail servers of each account: listening, refusing, and the connections that are open."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.authority import Authority
from mailboxes.sandbox.exchanger import ExchangerSession
from mailboxes.sandbox.imap_server import ImapSession
from mailboxes.sandbox.post_office import PostOffice
from mailboxes.sandbox.session import Session
from mailboxes.sandbox.smtp_server import SmtpSession
from mailboxes.wire.values import Endpoint, Security

LOOPBACK = "127.0.0.1"
LONGEST_READ = 16 * 1024 * 1024  # a whole message is read at once
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class MailServers:
    """To be used on the sandbox's loop alone."""

    def __init__(self, authority: Authority, post_office: PostOffice) -> None:
        self._authority = authority
        self._post_office = post_office
        self.exchanger = Account("postmaster@exchanger.test", "", Security.STARTTLS)
        self._listening: dict[tuple[str, str], asyncio.Server] = {}
        self._held: dict[tuple[str, str], socket.socket] = {}
        self._sessions: dict[Session, None] = {}  # a set that keeps its order, so that a seed chooses the same ones

    async def open(self, account: Account) -> None:
        """Start the account's servers, and write their places into it."""
        places = []
        for leg, host in zip(("smtp", "imap"), account.hosts, strict=True):
            server = await asyncio.start_server(self._handler(account, leg), LOOPBACK, 0, limit=LONGEST_READ)
            self._listening[account.address, leg] = server
            places.append(Endpoint(host, server.sockets[0].getsockname()[1], account.security))
        account.smtp, account.imap = places

    async def open_exchanger(self) -> int:
        """Start the exchanger of all domains; its port."""
        account = self.exchanger

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await ExchangerSession(account, self._authority, reader, writer, self._post_office).run()

        server = await asyncio.start_server(serve, LOOPBACK, 0, limit=LONGEST_READ)
        self._listening[account.address, "smtp"] = server
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def follow(self, account: Account) -> None:
        """Listen, or keep the port and refuse: a bound socket that does not listen refuses connections."""
        for leg, place, fault in (
            ("smtp", account.smtp, account.fault.smtp),
            ("imap", account.imap, account.fault.imap),
        ):
            assert place is not None
            running = self._listening.get((account.address, leg))
            if fault.connect == "refuse" and running is not None:
                running.close()
                del self._listening[account.address, leg]
                self._held[account.address, leg] = _bound(place.port)
            elif fault.connect != "refuse" and running is None:
                held = self._held.pop((account.address, leg))
                self._listening[account.address, leg] = await asyncio.start_server(
                    self._handler(account, leg), sock=held, limit=LONGEST_READ
                )

    async def cut(self, share: float, choose: random.Random) -> int:
        """Abruptly end about this share of the connections that are open; how many were ended."""
        chosen = [session for session in self._sessions if choose.random() < share]
        for session in chosen:
            session.cut()
        return len(chosen)

    def close(self) -> None:
        """Listen no more, and let the kept ports go."""
        for server in self._listening.values():
            server.close()
        for held in self._held.values():
            held.close()

    def _handler(self, account: Account, leg: str) -> Handler:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            session = self._session(account, leg, reader, writer)
            self._sessions[session] = None
            try:
                await session.run()
            finally:
                del self._sessions[session]

        return serve

    def _session(
        self, account: Account, leg: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Session:
        if leg == "imap":
            return ImapSession(account, self._authority, reader, writer)
        return SmtpSession(account, self._authority, reader, writer, self._post_office)


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, port))
    return sock
