"""No log of the web servers holds a link that opens something (SPEC S1, S6; SEC-17), nor keeps a half-sent request."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from config.accesslog import KeylessLogger
from config.logs import without_keys
from tests.ports import free_port
from tests.production import guide
from tests.production.browser import HOST

KEY = "c0ffee-KEY:of_a-link"
# Which address patterns of ours take such a key, and each as it stands in a mail.
TAKES_A_KEY = ("administrator", "invitation", "opened", "password_reset_confirm", "unsubscribe")
LINKS = [
    reverse(name, args=["MQ", KEY] if name == "password_reset_confirm" else [KEY]) for name in TAKES_A_KEY
]  # fmt: skip
PLAIN = ["/recover/", "/recover/sent/", "/sign-in/", "/help/"]


def test_sec17_every_page_that_takes_a_token_is_among_these() -> None:
    assert {name for name, pattern in _patterns(get_resolver()) if "token" in pattern} == set(TAKES_A_KEY)


def _patterns(resolver: URLResolver) -> Iterator[tuple[str, str]]:
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            yield one.name or "", str(one.pattern)
        elif isinstance(one, URLResolver):
            yield from _patterns(one)


@pytest.mark.parametrize("link", LINKS)
def test_sec17_our_own_log_masks_each(link: str) -> None:
    assert KEY not in without_keys(f"Not Found: {link}")


def test_sec17_no_variable_of_gunicorns_access_log_shows_a_key_or_a_query() -> None:
    logger = KeylessLogger.__new__(KeylessLogger)
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": f"{LINKS[0]}?code={KEY}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "PATH_INFO": LINKS[1],
        "QUERY_STRING": f"code={KEY}",
        "HTTP_REFERER": f"https://x.test{LINKS[3]}",
        "HTTP_COOKIE": f"sessionid={KEY}",
    }
    request: Any = [("Referer", f"https://x.test{LINKS[4]}?{KEY}"), ("Cookie", f"sessionid={KEY}")]
    response: Any = type("Response", (), {"status": "200 OK", "sent": 1, "headers": [("Location", LINKS[2])]})()
    took: Any = type("Took", (), {"seconds": 0, "microseconds": 5})()
    shown = logger.atoms(response, request, environ, took)
    assert [name for name, value in shown.items() if KEY in str(value)] == []
    assert shown["r"] == "GET /administrator/[key]/?- HTTP/1.1"


def test_sec17_gunicorn_with_its_access_log_on_writes_no_key(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = f"{sys.executable} -m gunicorn --bind 127.0.0.1:{port} --workers 1 --access-logfile - --log-level debug"
    with guide.running(f"{command} tests.production.nobody", guide.ROOT, guide.environment(), log) as process:
        guide.wait_until(lambda: guide.listens(port), process, 60, "gunicorn does not listen")
        for path in (*LINKS, *PLAIN, f"/oauth/google/complete/?code={KEY}&state=x"):
            ask(port, path)
    said = log.read_text()
    assert KEY not in said
    assert '"GET /administrator/[key]/ HTTP/1.1" 200' in said and '"GET /recover/sent/ HTTP/1.1" 200' in said
    assert '"GET /oauth/google/complete/?- HTTP/1.1" 200' in said


def ask(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


# ---- nginx


class Nginx:
    """The page's configuration, in a folder and on free ports; the web process is a socket of the test's."""

    def __init__(self, program: str, folder: Path) -> None:
        self.folder, self.plain, self.secure, self.web = folder, free_port(), free_port(), free_port()
        authority = trustme.CA()
        certificate = authority.issue_cert(HOST)
        certificate.private_key_pem.write_to_path(folder / "privkey.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "fullchain.pem")
        self._authority = authority
        (folder / "static").mkdir()
        (folder / "static" / "x.css").write_text("a {}")
        (folder / "nginx.conf").write_text(self._config())
        self.command = f"{program} -p {folder} -c {folder}/nginx.conf -e {folder}/start.log"

    def _config(self) -> str:
        ours = guide.file("postmend.conf")
        for there, here in {
            "/etc/letsencrypt/live/mail.example.com/": f"{self.folder}/", "/var/log/nginx/": f"{self.folder}/",
            f"{guide.HOME}/.postmend/": f"{self.folder}/", "127.0.0.1:8000": f"127.0.0.1:{self.web}",
            "listen [::]:80;": "", "listen [::]:443 ssl http2;": "",
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "listen 443 ssl": f"listen 127.0.0.1:{self.secure} ssl",
        }.items():  # fmt: skip
            assert there in ours, there
            ours = ours.replace(there, here)
        folders = "".join(
            f"{name}_temp_path {self.folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        as_root = "user root;\n" if os.geteuid() == 0 else ""
        return f"{as_root}daemon off;\npid {self.folder}/pid;\nevents {{}}\nhttp {{\n{folders}{ours}}}\n"

    def connect(self) -> ssl.SSLSocket:
        """A connection over TLS, as browsers make it."""
        trust = ssl.create_default_context()
        self._authority.configure_trust(trust)
        return trust.wrap_socket(socket.create_connection(("127.0.0.1", self.secure), 20), server_hostname=HOST)

    def ask(self, path: str) -> tuple[int, bytes]:
        """One request over TLS."""
        connection = HTTPConnection(HOST, timeout=20)
        connection.sock = self.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def written(self) -> str:
        """All that stands in its logs."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    made = Nginx(program, tmp_path)
    with guide.running(made.command, tmp_path, guide.environment(), tmp_path / "start.log") as process:
        guide.wait_until(lambda: guide.listens(made.secure), process, 20, "nginx does not listen")
        yield made


def test_o6_sec17_nginx_writes_no_key_of_a_link_also_where_the_web_process_is_down(nginx: Nginx) -> None:
    odd = [link.replace("/a", "/%61", 1).replace("/u", "/%75", 1) for link in LINKS]
    statuses = {nginx.ask(path)[0] for path in (*LINKS, *odd, *PLAIN, f"/oauth/google/complete/?code={KEY}")}
    assert statuses == {502}, "nobody is behind it"
    assert ask(nginx.plain, LINKS[0])[0] == 301
    said = nginx.written()
    assert KEY not in said
    for path in ("/administrator/[key]", "/recover/MQ/[key]", "/recover/sent/", "/oauth/google/complete/"):
        assert f'"GET {path}"' in said, said


def test_o6_nginx_serves_the_static_files_itself(nginx: Nginx) -> None:
    assert nginx.ask("/static/x.css") == (200, b"a {}")


def test_o6_nginx_keeps_a_half_sent_request_to_itself_and_says_who_asked(nginx: Nginx) -> None:
    head = f"POST /sign-in/ HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Length: 4\r\n\r\n"
    with socket.create_server(("127.0.0.1", nginx.web)) as web, nginx.connect() as half, nginx.connect() as whole:
        half.sendall(f"{head}ha".encode())
        whole.sendall(f"{head}full".encode())
        seen, _ = web.accept()
        with seen:
            seen.settimeout(20)
            asked = seen.recv(65536).decode()
    assert asked.endswith("\r\n\r\nfull"), "the first that comes through is the whole one"
    assert "X-Forwarded-Proto: https\r\n" in asked and f"Host: {HOST}\r\n" in asked
    assert "X-Forwarded-For: 127.0.0.1\r\n" in asked and "203.0.113.9" not in asked
