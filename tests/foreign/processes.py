"""What starting somebody else's mail server needs: its program, a free port, an account, and the patience to wait."""

from __future__ import annotations

import getpass
import grp
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

# The kernel connects to this address from 127.0.0.1: no outgoing connection ever takes a port of it. And Dovecot takes
# a client that has its own address for encrypted.
LISTEN = "127.0.0.2"
READY_S = 20.0
_SYSTEM_PATH = "/usr/sbin:/usr/local/sbin"


class CannotRun(Exception):
    """This machine lacks what the server needs; the text says what."""


class ServerFailed(Exception):
    """The server is here, and does not do what it should."""


@dataclass(frozen=True)
class Accounts:
    """Whom a server's processes run as, and whom the mail belongs to (never root)."""

    login: str
    server: str
    group: str
    mail_uid: int
    mail_gid: int


def accounts() -> Accounts:
    """For root the accounts that the package made, and nobody for the mail; else all is our own."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        return Accounts("dovenull", "dovecot", "dovecot", nobody.pw_uid, nobody.pw_gid)
    own = getpass.getuser()
    return Accounts(own, own, grp.getgrgid(os.getegid()).gr_name, os.geteuid(), os.getegid())


def program(name: str) -> str:
    """Where a server's program stands, or CannotRun."""
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), _SYSTEM_PATH)))
    if path is None:
        raise CannotRun(f"{name} is not installed")
    return path


def run(*command: str | Path, check: bool = True) -> str:
    """Run a server's program; its output. Raises ServerFailed where it fails.

    The output goes to a file: a daemon that stays behind would keep a pipe open for ever.
    """
    with TemporaryFile("w+") as output:
        words = [str(part) for part in command]
        done = subprocess.run(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, timeout=60, check=False)
        output.seek(0)
        said = output.read()
    if check and done.returncode:
        raise ServerFailed(f"{words[0]} fails: {said.strip()[-400:]}")
    return said


def wait_for(*ports: int) -> None:
    """Until all ports answer, READY_S at most."""
    wait_until(lambda: all(_answers(port) for port in ports), f"ports {ports} do not answer")


def wait_until_gone(*ports: int) -> None:
    """Until no port answers, READY_S at most."""
    wait_until(lambda: not any(_answers(port) for port in ports), f"ports {ports} still answer")


def wait_until(done: Callable[[], bool], otherwise: str) -> None:
    """Until it is done, READY_S at most. Raises ServerFailed with what was not."""
    until = time.monotonic() + READY_S
    while not done():
        if time.monotonic() > until:
            raise ServerFailed(otherwise)
        time.sleep(0.02)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LISTEN, port)) == 0
