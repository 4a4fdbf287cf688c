"""Half-sent requests hold no thread of the web server for long (SEC-22)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from django.conf import settings

from config.web import TimedSocket
from tests.foreign.processes import wait_until
from tests.ports import free_port

POST = b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
HALF_A_BODY = POST + b"Content-Length: 5000\r\n\r\nusername=half"


@pytest.fixture
def port() -> Iterator[int]:
    """The web server as README starts it, with two threads and little patience."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "2"]
    environment = os.environ | {"WEB_READ_S": "1", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    server = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment)
    try:
        wait_until(lambda: _listens(port), "gunicorn does not listen")
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.mark.parametrize("half", [HALF_A_BODY, POST], ids=["body", "headers"])
def test_sec22_half_sent_requests_let_others_through(port: int, half: bytes) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(8):
            held.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(half)
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/sign-in/")
        answer = connection.getresponse()
        assert answer.status == 200 and b"Sign in" in answer.read()


def test_sec22_a_whole_request_is_served(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(2):  # on one connection
        connection.request("POST", "/sign-in/", b"username=a&password=b", {"Content-Type": "text/plain"})
        answer = connection.getresponse()
        assert answer.status == 403 and b"open for too long" in answer.read()


def test_sec22_a_byte_now_and_then_gives_no_more_time() -> None:
    near, far = socket.socketpair()
    with near, far:
        slow = TimedSocket(near)
        slow.begin(0.2)
        for _ in range(3):
            far.sendall(b"x")
            assert slow.recv(10) == b"x"
        with pytest.raises(ConnectionResetError, match="not sent in time"):
            slow.recv(10)
        slow.begin(30.0)  # the next request of this connection
        far.sendall(b"whole")
        assert slow.recv(10) == b"whole"
