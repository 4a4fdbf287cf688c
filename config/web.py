"""A gunicorn worker whose threads wait for no half-sent request (SPEC S4; as Apache's mod_reqtimeout does)."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

READ_S = float(os.environ.get("WEB_READ_S", "20"))
LEAST_RATE = 500  # bytes a second: a long upload over a slow line has its time
WRITE_S = 60.0


class TimedSocket:
    """A socket that reads one request within a deadline, however its bytes trickle in. All else is the socket's."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._until = 0.0

    def begin(self, seconds: float) -> None:
        """A request begins now."""
        self._until = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """Read some bytes. Raises ConnectionResetError past the deadline: what has come is no whole request."""
        left = self._until - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            found = self._sock.recv(size)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the request was not sent in time") from None
        self._until += len(found) / LEAST_RATE
        return found

    def sendall(self, data: bytes) -> None:
        """Send an answer, to a reader who takes it."""
        self._sock.settimeout(WRITE_S)
        self._sock.sendall(data)

    def __getattr__(self, name: str) -> Any:
        if name == "sendfile":
            self._sock.settimeout(WRITE_S)
        return getattr(self._sock, name)


class SteadyWorker(ThreadWorker):  # type: ignore[misc]  # the package ships no types
    """Gunicorn's threads, each request read within a deadline."""

    def handle(self, conn: Any) -> Any:
        """Serve one request of a connection, in a thread."""
        if not self.cfg.is_ssl:
            if not isinstance(conn.sock, TimedSocket):
                conn.sock = TimedSocket(conn.sock)
            conn.sock.begin(READ_S)
        return super().handle(conn)
