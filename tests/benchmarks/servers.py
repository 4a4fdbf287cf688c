"""What the benchmark checks against: Dovecot where it is installed, else the sandbox in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mailboxes.sandbox.authority import Authority
from mailboxes.sandbox.server import Sandbox
from tests.foreign.dovecot import Dovecot
from tests.foreign.processes import LISTEN, CannotRun

USERS = 300
PASSWORD = "bench-password"


@dataclass(frozen=True)
class Place:
    """Where the servers are, as the measured processes read it from a file."""

    name: str
    address: str
    smtp_host: str
    smtp_port: int
    imap_host: str
    imap_port: int
    users: list[str]
    ca_file: str

    def write(self, folder: Path) -> Path:
        """For a measured process."""
        path = folder / "place.json"
        path.write_text(json.dumps(asdict(self)))
        return path


def read(path: str) -> Place:
    """What `write` has written."""
    return Place(**json.loads(Path(path).read_text()))


@contextmanager
def serving(folder: Path) -> Iterator[Place]:
    """Servers with USERS accounts of one password."""
    try:
        with _dovecot(folder) as place:
            yield place
    except CannotRun:
        with _sandbox(folder) as place:
            yield place


@contextmanager
def _dovecot(folder: Path) -> Iterator[Place]:
    place, authority = folder / "dovecot", Authority()
    place.mkdir()
    authority.write(folder / "ca.pem")
    with Dovecot(place, authority, user_connections=2000) as server:
        users = [f"bench{number}@foreign.test" for number in range(USERS)]
        for user in users:
            server.add(user, PASSWORD)
        host, ca_file = server.host(), str(folder / "ca.pem")
        yield Place("Dovecot 2.3", LISTEN, host, server.submissions, host, server.imaps, users, ca_file)


@contextmanager
def _sandbox(folder: Path) -> Iterator[Place]:
    command = [sys.executable, "-m", "tests.benchmarks.servers", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None and server.stdout is not None and server.stdout.readline() == "ready\n"
        yield read(str(folder / "place.json"))
        server.stdin.close()


def _serve(folder: Path) -> None:
    """The sandbox's own process; it ends with its parent's pipe."""
    with Sandbox() as sandbox:
        account = sandbox.add("bench@bench.test", PASSWORD)
        assert account.smtp and account.imap
        sandbox.authority.write(folder / "ca.pem")
        smtp, imap = account.smtp, account.imap
        ca_file = str(folder / "ca.pem")
        Place("our sandbox", "127.0.0.1", smtp.host, smtp.port, imap.host, imap.port, [account.address], ca_file).write(
            folder
        )
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
