"""A private Postfix on loopback: submission with Dovecot's logins, and delivery into Dovecot's maildirs.

Only root can start one; its queue, data, log and configuration are its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Self

from tests.foreign.dovecot import Dovecot
from tests.foreign.processes import (
    LISTEN,
    CannotRun,
    accounts,
    program,
    run,
    wait_for,
    wait_until_gone,
)
from tests.ports import free_port

_HERE = Path(__file__).parent


@dataclass
class Postfix:
    """Use as a context manager. It delivers to `boxes`; `relay` takes Dovecot's submissions; `bare` offers neither
    8BITMIME nor SMTPUTF8 nor SIZE."""

    folder: Path
    dovecot: Dovecot
    boxes: Sequence[str]
    user_connections: int = 10
    submission: int = field(default_factory=free_port)
    submissions: int = field(default_factory=free_port)
    relay: int = field(default_factory=free_port)
    bare: int = field(default_factory=free_port)

    @property
    def ports(self) -> frozenset[int]:
        """Where mail clients connect to."""
        return frozenset({self.submission, self.submissions, self.bare})

    @property
    def host(self) -> str:
        """Its host name."""
        return self.dovecot.host("smtp")

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise CannotRun("only root can start Postfix")
        program("postfix")
        self._write()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait for its ports."""
        run(program("postfix"), "-c", self.folder, "start")
        wait_for(*self.ports)

    def stop(self) -> None:
        """End it, with every session that it has."""
        run(program("postfix"), "-c", self.folder, "stop", check=False)
        wait_until_gone(*self.ports)

    def _write(self) -> None:
        for name in ("queue", "data"):
            (self.folder / name).mkdir(parents=True)
        os.chown(self.folder / "data", _postfix_uid(), -1)
        certificate = self.dovecot.authority.certificate(self.host)
        (self.folder / "smtp.pem").write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
        (self.folder / "boxes").write_text("".join(f"{address} {address}/\n" for address in self.boxes))
        # Known at the door, and unknown behind it: mail to it comes back.
        (self.folder / "aliases").write_text(f"gone@{self.dovecot.domain} left@{self.dovecot.domain}\n")
        values = vars(self.dovecot) | vars(accounts()) | vars(self)
        values |= {"listen": LISTEN, "mail": self.dovecot.mail}
        for name in ("main.cf", "master.cf"):
            (self.folder / name).write_text(Template((_HERE / name).read_text()).substitute(values))


def _postfix_uid() -> int:
    return int(run("id", "-u", "postfix"))
