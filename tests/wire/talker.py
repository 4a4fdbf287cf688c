"""A hostile server over a real socket: it says what it is told to, and keeps what it heard."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.values import Endpoint, Limits, Security
from tests.resolvers import OneAddress

MOST_BYTES = 64_000_000
HOST = "hostile.example.test"


class Talker:
    """Use as a context manager. Each of `said` is sent after one read, the first at once; then it stays silent.

    With `flood` it goes on sending that until the client leaves; with `tls` it speaks inside TLS; with
    `closes` it hangs up after its last words.
    """

    def __init__(
        self, *said: bytes, flood: bytes = b"", pause_s: float = 0, tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1", closes: bool = False,
    ) -> None:  # fmt: skip
        self._said, self._flood, self._pause_s, self.tls = said, flood, pause_s, tls
        self._closes = closes
        self._socket = socket.create_server((address, 0))
        self._gone = threading.Event()
        self.port: int = self._socket.getsockname()[1]
        self.heard = b""
        self.connections = 0
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gone.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with contextlib.suppress(OSError), connection:
                self._talk(self.tls.wrap_socket(connection, server_side=True) if self.tls else connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        for part in self._said:
            connection.sendall(part)
            is_last = self._closes and part is self._said[-1]
            self.heard += b"" if is_last else connection.recv(65_536)
        for part in itertools.repeat(self._flood) if self._flood else ():
            if self.sent > MOST_BYTES:
                break
            connection.sendall(part)
            self.sent += len(part)
            self._gone.wait(self._pause_s)
        while not self._closes and (data := connection.recv(65_536)):
            self.heard += data


class Names(OneAddress):
    """A resolver whose answers are given, one after the other; the last is repeated. Counts the look-ups."""

    def __init__(self, *answers: Iterable[str]) -> None:
        super().__init__("")
        self._answers: Iterator[list[str]] = itertools.chain(map(list, answers), itertools.repeat(list(answers[-1])))
        self.asked = 0

    async def addresses(self, host: str) -> list[str]:
        self.asked += 1
        return next(self._answers)


def reach(sandbox: Sandbox, talker: Talker, limits: Limits, security: Security) -> tuple[Connector, Endpoint]:
    """A connector that may reach the talker, and the place to reach it at."""
    usual = sandbox.connector(limits)
    policy = AddressPolicy(allowed_networks=usual.policy.allowed_networks, allowed_ports=frozenset({talker.port}))
    connector = Connector(resolver=Names(["127.0.0.1"]), policy=policy, tls=usual.tls, limits=limits)
    return connector, Endpoint(HOST, talker.port, security)
