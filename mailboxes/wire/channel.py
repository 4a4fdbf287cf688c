"""One connection's bytes: a small asyncio protocol with a bounded buffer and an upgrade to TLS.

Own, and not asyncio's streams: the buffer must be seen to be empty before an upgrade (FACTS D7), must be
bounded whatever the server sends, and 250 connections under way must stay small (PITFALLS section 9).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

HIGH_WATER = 262_144


class Channel(asyncio.Protocol):
    """Read what came, write, upgrade, close. Reading past the end returns b""."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: neither uvloop's transports nor all of asyncio's are subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > HIGH_WATER and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def unread(self) -> bool:
        """True where bytes have come that nobody has read."""
        return bool(self._buffer)

    async def read(self) -> bytes:
        """Return what has come, at least one byte; b"" at the end. Raises the connection's OSError."""
        while not self._buffer and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._buffer and self._error is not None:
            raise self._error
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """Queue `data` for sending; a lost connection shows at the next read."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def start_tls(self, context: ssl.SSLContext, host: str, timeout_s: float) -> None:
        """Upgrade to TLS, verifying the certificate for `host`. Raises ssl.SSLError, OSError or TimeoutError."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(
                self._transport, self, context, server_hostname=host, ssl_handshake_timeout=timeout_s
            )
        except ConnectionAbortedError as error:
            if error.errno is None:  # how asyncio says that it waited long enough
                raise TimeoutError from None
            raise
        if upgraded is None:
            raise ConnectionResetError("the connection was lost during the TLS handshake")
        self._transport = upgraded

    def close(self) -> None:
        """Drop the connection at once; nothing is awaited from the server."""
        if self._transport is not None:
            self._transport.abort()


async def open_channel(address: str, port: int) -> Channel:
    """Connect to this very address. Raises OSError."""
    loop = asyncio.get_running_loop()
    _transport, channel = await loop.create_connection(Channel, address, port)
    return channel
