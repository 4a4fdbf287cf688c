"""The whole sandbox: a thread with an event loop that serves DNS, tokens, and two mail servers an account."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
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
from mailboxes.sandbox.mail_servers import LOOPBACK, MailServers
from mailboxes.sandbox.oauth_provider import OAuthProvider
from mailboxes.sandbox.post_office import Person, PostOffice
from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.resolver import DnsResolver
from mailboxes.wire.tls import TlsClient
from mailboxes.wire.values import Limits, Security

TOKEN_HOST = "login.sandbox.test"
CLIENT = ("sandbox-client", "sandbox-client-secret-7Xq2")
ResultT = TypeVar("ResultT")


class Sandbox:
    """Use as a context manager. Accounts are added and their faults switched while it runs, from any thread."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.zones: dict[str, Zone] = {}  # of mail domains, where they differ from an ordinary one's
        self.authority = Authority()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self.post_office = PostOffice(self.accounts)
        self._mail = MailServers(self.authority, self.post_office)
        self.provider = OAuthProvider(lambda: list(self.accounts.values()), dict([CLIENT]))
        self._web: list[asyncio.Server] = []
        self._sites: set[int] = set()
        self._dns: asyncio.DatagramTransport | None = None
        self.dns_port = self.token_port = self.consent_port = self.exchanger_port = 0

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
        return frozenset({self.token_port, self.exchanger_port} | self._sites | {place.port for place in places})

    def add(
        self,
        address: str,
        password: str,
        security: Security = Security.SSL,
        fault: Fault = NO_FAULT,
        *,
        machine: str = "",
    ) -> Account:
        """Open an account with its two servers."""
        account = Account(address, password, security, machine=machine)
        self.accounts[address] = account
        self._do(self._mail.open(account))
        self.set_fault(address, fault)
        return account

    def set_fault(self, address: str, fault: Fault) -> None:
        """Switch the account's fault, for the next connection on."""
        account = self.accounts[address]
        account.fault = fault
        self._do(self._mail.follow(account))

    @property
    def people(self) -> dict[str, Person]:
        """Those outside, by address in lower case: write them into it."""
        return self.post_office.people

    def answer(self, person_address: str, account_address: str, text: str, *, to_message: bytes | None = None) -> bytes:
        """A person's message arrives at the account now, and is given: in reply to `to_message`, or else to what the
        account last sent to them; with b"" it replies to nothing."""
        return self.post_office.answer(person_address, account_address, text, to_message)

    def cut(self, share: float, choose: random.Random) -> int:
        """Abruptly end about this share of the mail connections that are open; how many were ended."""
        return self._do(self._mail.cut(share, choose))

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

    @property
    def exchanger(self) -> Account:
        """The exchanger's own record: what it has seen, and whom it refuses."""
        return self._mail.exchanger

    def connector(
        self,
        limits: Limits,
        on_connect: Callable[[str, int], None] | None = None,
        *,
        tls: TlsClient | None = None,
    ) -> Connector:
        """A connector that may reach the sandbox, by its name server and authority, or with a TLS client of its own."""
        policy = AddressPolicy(
            ports=frozenset(), allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),), allowed_ports=self.ports
        )
        resolver = DnsResolver((LOOPBACK, self.dns_port), lifetime_s=2.0)
        return Connector(
            resolver=resolver,
            policy=policy,
            tls=tls or self.authority.client(),
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
            "MAIL_EXCHANGER_PORT": str(self.exchanger_port),
            "CODE_MAIL": "direct",
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

        self.exchanger_port = await self._mail.open_exchanger()

    async def _stop(self) -> None:
        self._mail.close()
        for server in self._web:
            server.close()
        if self._dns is not None:
            self._dns.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _zone(self, name: str) -> Zone | None:
        if name == TOKEN_HOST:
            return Zone()
        for account in self.accounts.values():
            if name in account.hosts:
                return Zone(fault=account.fault.dns)
        if name.startswith("mx."):
            return Zone()
        domains = {address.rpartition("@")[2] for address in (*self.accounts, *self.people)}
        return self.zones.get(name, Zone(exchangers=(f"mx.{name}",)) if name in domains else None)
