"""One connection's bytes: a small asyncio protocol with a bounded buffer, and TLS on top of it.

Own, and not asyncio's streams and `start_tls`: the buffer must be seen to be empty before an upgrade (FACTS D7), must
be bounded whatever the server sends, and a session must be offered to the handshake (decisions/0006).
"""

from __future__ import annotations

import asyncio
from typing import cast

from mailboxes.wire.tls import Secured, TlsClient, TlsFault

HIGH_WATER = 262_144
SHOWN = 512


class Channel(asyncio.Protocol):
    """Read what came, write, upgrade, close. Reading past the end returns b""."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0
        self._late = False
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._client: TlsClient | None = None
        self._secured: Secured | None = None
        self.is_silent = True  # until anything at all has come
        self.shown = b""  # the first bytes that came in a handshake: a server may speak plain text instead

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: neither uvloop's transports nor all of asyncio's are subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.is_silent = False
        if self._secured is None:
            self._buffer += data
        else:
            if not self._secured.open:
                self.shown += data[: SHOWN - len(self.shown)]
            self._secured.feed(data)
            if not self._secured.open:
                self._shake_hands(self._secured)
                if not (self._secured.open or self._error):
                    return
            self._decrypt()
        if len(self._buffer) > HIGH_WATER and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = self._error or exc
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def allow(self, seconds: float) -> None:
        """What is waited for from now on must come within this time, or `read` and `start_tls` raise TimeoutError.

        One lazy timer for the connection: a timeout for each answer costs more than reading it.
        """
        self._until, self._late = self._loop.time() + seconds, False
        if self._timer is None:
            self._timer = self._loop.call_at(self._until, self._look)

    def _look(self) -> None:
        early = self._loop.time() < self._until
        self._timer = self._loop.call_at(self._until, self._look) if early else None
        if not early:
            self._late = True
            self._wake()

    async def _more(self) -> None:
        """Until something has come, or the end."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._late:
            raise TimeoutError

    @property
    def unread(self) -> bool:
        """True where bytes have come that nobody has read."""
        return bool(self._buffer)

    async def read(self) -> bytes:
        """Return what has come, at least one byte; b"" at the end. Raises the connection's OSError."""
        while not self._buffer and not self._ended:
            await self._more()
        if not self._buffer and self._error is not None:
            raise self._error
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._paused = False
        return data

    def write(self, data: bytes) -> None:
        """Queue `data` for sending; a lost connection shows at the next read."""
        if self._secured is not None:
            data = self._secured.encrypt(data)
        self._send(data)

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def start_tls(self, client: TlsClient, host: str, timeout_s: float) -> None:
        """Upgrade to TLS, verifying the certificate for `host`. Raises TlsFault, OSError or TimeoutError."""
        self._client, self._secured = client, client.begin(host, self._port)
        self.allow(timeout_s)
        try:
            self._shake_hands(self._secured)
            while not self._secured.open:
                if self._error is not None:
                    raise self._error
                if self._ended:
                    raise ConnectionResetError("the connection was lost during the TLS handshake")
                await self._more()
        except BaseException:
            client.forget(self._secured)
            raise
        finally:
            self._stop_timer()

    def _stop_timer(self) -> None:
        """What comes now is bounded by who waits for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._late = None, False

    def _shake_hands(self, secured: Secured) -> None:
        """As far as what has come allows; the last flight goes out too, or the alert that says why not."""
        try:
            secured.shake_hands()
        except TlsFault as fault:
            self._error = fault
        self._send(secured.waiting())

    def _decrypt(self) -> None:
        """Move what can be read by now into the buffer."""
        secured = self._secured
        if secured is None or not secured.open:
            return
        try:
            while data := secured.decrypt():
                self._buffer += data
            self._ended = self._ended or data is None  # the server said goodbye
        except TlsFault as fault:
            self._error = ConnectionResetError(f"the TLS connection broke: {fault}")
            self._ended = True
        self._send(secured.waiting())

    @property
    def is_secured(self) -> bool:
        """True from the beginning of a handshake on."""
        return self._secured is not None

    @property
    def resumed(self) -> bool:
        """True where the TLS session was resumed."""
        return self._secured is not None and self._secured.resumed

    def close(self) -> None:
        """Drop the connection at once; nothing is awaited from the server."""
        if self._secured is not None and self._secured.open and self._client is not None:
            self._client.keep(self._secured)
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()


async def open_channel(address: str, port: int) -> Channel:
    """Connect to this very address. Raises OSError."""
    loop = asyncio.get_running_loop()
    _transport, channel = await loop.create_connection(lambda: Channel(port), address, port)
    return channel
