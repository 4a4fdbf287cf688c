"""docs/production.md as programs read it, and the machine that it asks for in a folder."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
HOME = "/srv/postmend"
_BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LEFT_BEHIND = (".git", ".venv", ".env", ".postmend", ".*_cache", "__pycache__", ".hypothesis", "pictures")
# What this test run, or its developer, has set for another purpose: the guide's .env says it all.
_NOT_OURS = re.compile(
    r"^(DJANGO_|DATABASE_URL|SECRET_KEY|FERNET_KEYS|POSTMEND_|MAIL_|PYTEST|VIRTUAL_ENV|PYTHON|PRODUCTION|CI$|PG)"
)


class Block(NamedTuple):
    """A block of the page: its language, what is said behind it (`run`, `root`, or a file's name), and its text."""

    language: str
    word: str
    text: str


def blocks() -> list[Block]:
    """Return the blocks of the page in their order."""
    return [Block(*found.groups()) for found in _BLOCK.finditer((ROOT / "docs" / "production.md").read_text())]


def file(name: str) -> str:
    """Return the text of a file that the page writes."""
    [found] = [block.text for block in blocks() if block.word.endswith(f"/{name}")]
    return found


def unit(name: str) -> dict[str, str]:
    """Return the settings of a systemd unit of the page."""
    lines = [line.partition("=") for line in file(f"{name}.service").splitlines() if "=" in line]
    return {key: value for key, _, value in lines}


def copy_of_the_code(folder: Path) -> Path:
    """Return the folder with the repository's files, as a clone has them."""
    target = folder / "postmend"
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    return target


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a fresh login: without whatever this test run set."""
    return {name: value for name, value in os.environ.items() if not _NOT_OURS.match(name)} | more


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str], within_s: float, what: str) -> None:
    """Wait until it holds. Raises AssertionError past the time, or where the process has ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if holds():
                return
        assert process.poll() is None, f"{process.args!r} has ended"
        threading.Event().wait(0.1)
    raise AssertionError(what)


def listens(port: int) -> bool:
    """Return whether somebody does on loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(command: str, folder: Path, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a unit's command as systemd does: in its folder, asked to end by SIGTERM."""
    with log.open("w") as out:
        process = subprocess.Popen(command.split(), cwd=folder, env=env, stdout=out, stderr=out, text=True)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)
