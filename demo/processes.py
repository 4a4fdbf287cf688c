"""The demo's web server and worker: child processes that are ended with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from django.conf import settings

GRACE_S = 15.0


def port_is_free(port: int) -> bool:
    """True where the port can be listened on."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Children:
    """Use as a context manager: whatever was started is stopped at its end."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = os.environ | dict(environment)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, *arguments: str) -> None:
        """Start `python ARGUMENTS…`, out of reach of the terminal's Ctrl-C: the demo stops it."""
        self._processes.append(
            subprocess.Popen(
                [sys.executable, *arguments], cwd=settings.BASE_DIR, env=self._environment, start_new_session=True
            )
        )

    @property
    def all_run(self) -> bool:
        """True while none has ended."""
        return all(process.poll() is None for process in self._processes)
