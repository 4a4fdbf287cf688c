"""The whole sandbox: a thread with an event loop that serves DNS, tokens, and two mail servers an account."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.utils
import ipaddress
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.authority import Authority
from mailboxes.sandbox.dns_server import DnsServer, Zone
from mailboxes.sandbox.faults import NO_FAULT, Fault
from mailboxes.sandbox.http_server import Answered, Asked, HttpServer
from mailboxes.sandbox.imap_server import ImapSession
from mailboxes.sandbox.oauth_provider import OAuthProvider
from mailboxes.sandbox.smtp_server import SmtpSession
from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.resolver import DnsResolver
from mailboxes.wire.values import Endpoint, Limits, Security

LOOPBACK = "127.0.0.1"
TOKEN_HOST = "login.sandbox.test"
CLIENT = ("sandbox-client", "sandbox-client-secret-7Xq2")
ResultT = TypeVar("ResultT")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Sandbox:
    """Use as a context manager. Accounts are added and their faults switched while it runs, from any thread."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.zones: dict[str, Zone] = {}  # of mail domains, where they differ from an ordinary one's
        self.authority = Authority()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self._listening: dict[tuple[str, str], asyncio.Server] = {}
        self._held: dict[tuple[str, str], socket.socket] = {}
        self.provider = OAuthProvider(lambda: list(self.accounts.values()), dict([CLIENT]))
        self._web: list[asyncio.Server] = []
        self._sites: set[int] = set()
        self._dns: asyncio.DatagramTransport | None = None
        self.dns_port = self.token_port = self.consent_port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def token_url(self) -> str:
        """Where grants are refreshed."""
        return f"{self.provider.base_url}/google/token"

    def registration(self, flavour: str) -> dict[str, str]:
        """Our registration at the provider in this manner, as columns of OAuthClient. The consent page is plain http on
        loopback, so that any browser opens it."""
        top = f"{self.provider.base_url}/{flavour}"
        identity = "userinfo" if flavour == "google" else ".well-known/openid-configuration"
        return {
            "authorize_url": f"http://{LOOPBACK}:{self.consent_port}/{flavour}/authorize",
            "token_url": f"{top}/token",
            "identity_url": f"{top}/{identity}",
            "revoke_url": f"{top}/revoke" if flavour == "google" else "",
            "mail_hosts": ".test",
            "client_id": CLIENT[0],
            "client_secret": CLIENT[1],
        }

    @property
    def ports(self) -> frozenset[int]:
        """Every port that a client must be allowed to reach."""
        places = [place for one in self.accounts.values() for place in (one.smtp, one.imap) if place]
        return frozenset({self.token_port} | self._sites | {place.port for place in places})

    def add(self, address: str, password: str, security: Security = Security.SSL, fault: Fault = NO_FAULT) -> Account:
        """Open an account with its two servers."""
        account = Account(address, password, security)
        self.accounts[address] = account
        self._do(self._open(account))
        self.set_fault(address, fault)
        return account

    def set_fault(self, address: str, fault: Fault) -> None:
        """Switch the account's fault, for the next connection on."""
        account = self.accounts[address]
        account.fault = fault
        self._do(self._follow(account))

    @contextlib.contextmanager
    def website(self, host: str, respond: Callable[[Asked], Answered]) -> Iterator[int]:
        """An HTTPS site of this host on a port of its own, which is given."""

        async def start() -> asyncio.Server:
            serve = HttpServer(respond).serve
            return await asyncio.start_server(serve, LOOPBACK, 0, ssl=self.authority.context(host, ""))

        server = self._do(start())
        port = server.sockets[0].getsockname()[1]
        self._sites.add(port)
        try:
            yield port
        finally:
            self._sites.discard(port)
            self._loop.call_soon_threadsafe(server.close)

    def connector(self, limits: Limits, on_connect: Callable[[str, int], None] | None = None) -> Connector:
        """A connector that may reach the sandbox, by its name server and authority."""
        policy = AddressPolicy(
            ports=frozenset(), allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),), allowed_ports=self.ports
        )
        resolver = DnsResolver((LOOPBACK, self.dns_port), lifetime_s=2.0)
        return Connector(
            resolver=resolver,
            policy=policy,
            tls=self.authority.client(),
            limits=limits,
            on_connect=on_connect,
        )

    def environment(self, folder: Path) -> dict[str, str]:
        """Settings by which another process's Postmend reaches the sandbox."""
        folder.mkdir(parents=True, exist_ok=True)
        ca_file = folder / "sandbox-ca.pem"
        self.authority.write(ca_file)
        return {
            "MAIL_RESOLVER": f"{LOOPBACK}:{self.dns_port}",
            "MAIL_ALLOWED_NETWORKS": "127.0.0.0/8",
            "MAIL_ALLOWED_PORTS": ",".join(str(port) for port in sorted(self.ports)),
            "MAIL_CA_FILE": str(ca_file),
        }

    def _do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _start(self) -> None:
        self._dns, _ = await self._loop.create_datagram_endpoint(
            lambda: DnsServer(self._zone), local_addr=(LOOPBACK, 0)
        )
        self.dns_port = self._dns.get_extra_info("sockname")[1]
        serve = HttpServer(self.provider.respond).serve
        context = self.authority.context(TOKEN_HOST, "")
        self._web = [
            await asyncio.start_server(serve, LOOPBACK, 0, ssl=context),
            await asyncio.start_server(serve, LOOPBACK, 0),
        ]
        self.token_port, self.consent_port = (server.sockets[0].getsockname()[1] for server in self._web)
        self.provider.base_url = f"https://{TOKEN_HOST}:{self.token_port}"

    async def _stop(self) -> None:
        servers = [*self._listening.values(), *self._web]
        for server in servers:
            server.close()
        for held in self._held.values():
            held.close()
        if self._dns is not None:
            self._dns.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _open(self, account: Account) -> None:
        places = []
        for leg, host in zip(("smtp", "imap"), account.hosts, strict=True):
            server = await asyncio.start_server(self._handler(account, leg), LOOPBACK, 0)
            self._listening[account.address, leg] = server
            places.append(Endpoint(host, server.sockets[0].getsockname()[1], account.security))
        account.smtp, account.imap = places

    async def _follow(self, account: Account) -> None:
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
                    self._handler(account, leg), sock=held
                )

    def _handler(self, account: Account, leg: str) -> Handler:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if leg == "imap":
                await ImapSession(account, self.authority, reader, writer).run()
            else:
                session = SmtpSession(account, self.authority, reader, writer)
                session.post = self._post  # type: ignore[method-assign]  # the post office serves all accounts
                await session.run()

        return serve

    def _post(self, raw: bytes) -> None:
        headers = email.message_from_bytes(raw)
        for _name, address in email.utils.getaddresses(headers.get_all("To", [])):
            with contextlib.suppress(KeyError):
                self.accounts[address].deliver(raw)

    def _zone(self, name: str) -> Zone | None:
        if name == TOKEN_HOST:
            return Zone()
        for account in self.accounts.values():
            if name in account.hosts:
                return Zone(fault=account.fault.dns)
        domains = {address.rpartition("@")[2] for address in self.accounts}
        return self.zones.get(name, Zone(exchangers=(f"mx.{name}",)) if name in domains else None)


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, port))
    return sock
