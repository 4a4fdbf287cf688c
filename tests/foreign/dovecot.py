"""A private Dovecot on loopback: IMAP and submission, PLAIN, LOGIN, and XOAUTH2 by introspection.

It runs as root or as an ordinary account, on ports above 1024; nothing of the system's own configuration is read.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Self

from mailboxes.sandbox.authority import Authority
from tests.foreign.processes import (
    LISTEN,
    accounts,
    program,
    run,
    wait_for,
    wait_until,
    wait_until_gone,
)
from tests.ports import free_port

# Host names below the domain, and what is wrong with the certificate that each shows (by SNI).
CERTIFICATES = {"mail": "", "expired": "expired", "elsewhere": "wrong_name", "foreign": "foreign"}
_HERE = Path(__file__).parent


@dataclass
class Dovecot:
    """Use as a context manager. `add` users before or while it runs."""

    folder: Path
    authority: Authority
    domain: str = "foreign.test"
    introspection_url: str = "http://127.0.0.1:1/"
    relay_port: int = 1
    ssl: str = "required"
    mechanisms: str = "plain login xoauth2"
    user_connections: int = 10
    imap: int = field(default_factory=free_port)
    imaps: int = field(default_factory=free_port)
    submission: int = field(default_factory=free_port)
    submissions: int = field(default_factory=free_port)
    sasl: int = field(default_factory=free_port)

    @property
    def ports(self) -> frozenset[int]:
        """Where mail clients connect to."""
        return frozenset({self.imap, self.imaps, self.submission, self.submissions})

    def host(self, name: str = "mail") -> str:
        """The host name that shows one of the CERTIFICATES."""
        return f"{name}.{self.domain}"

    @property
    def mail(self) -> Path:
        """Where the users' mail lies, a maildir for each address."""
        return self.folder / "mail"

    def __enter__(self) -> Self:
        program("dovecot")
        self._write()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait for its ports."""
        run(program("dovecot"), "-c", self._config)
        wait_for(*self.ports)

    def stop(self) -> None:
        """End it, with every session that it has."""
        run(program("doveadm"), "-c", self._config, "stop", check=False)
        wait_until_gone(*self.ports)

    def add(self, address: str, password: str) -> None:
        """A new user, with a file of its own: Dovecot looks at a file that it knows once a second at most."""
        (self.folder / "users" / address).write_text(f"{address}:{password}\n")

    def change(self, address: str, password: str) -> None:
        """Another password for a user; returns when Dovecot goes by it."""
        path = self.folder / "users" / address
        known_s = path.stat().st_mtime
        self.add(address, password)
        os.utime(path, (known_s + 1, known_s + 1))  # by the second of its change a file is known
        test = (program("doveadm"), "-c", self._config, "auth", "test", address, password)
        wait_until(lambda: "auth succeeded" in run(*test, check=False), f"{address} keeps its old password")

    def deliver(self, address: str, raw: bytes) -> None:
        """Put a message into the INBOX as a delivery agent does: into the maildir, behind the server's back."""
        box, own = self.mail / address, accounts()
        for place in (box, *(box / name for name in ("tmp", "new", "cur"))):
            place.mkdir(exist_ok=True)
            os.chown(place, own.mail_uid, own.mail_gid)
        waiting = box / "tmp" / f"{time.time_ns()}.postmend"
        waiting.write_bytes(raw)
        os.chown(waiting, own.mail_uid, own.mail_gid)
        waiting.rename(box / "new" / waiting.name)

    @property
    def _config(self) -> Path:
        return self.folder / "dovecot.conf"

    def _write(self) -> None:
        own = accounts()
        self.mail.mkdir(parents=True)
        os.chown(self.mail, own.mail_uid, own.mail_gid)
        self.folder.chmod(0o755)
        (self.folder / "users").mkdir()
        values = vars(own) | vars(self) | {"listen": LISTEN, "names": self._names()}
        values["implicit"] = "no" if self.ssl == "no" else "yes"
        self._config.write_text(Template((_HERE / "dovecot.conf").read_text()).substitute(values))
        oauth2 = Template((_HERE / "oauth2.conf").read_text()).substitute(url=self.introspection_url)
        (self.folder / "oauth2.conf").write_text(oauth2)

    def _names(self) -> str:
        """Write the certificates; the configuration that shows each for its name."""
        parts = []
        for name, kind in CERTIFICATES.items():
            path = self.folder / f"{name}.pem"
            path.write_bytes(self.authority.certificate(self.host(name), kind).private_key_and_cert_chain_pem.bytes())
            parts.append(f"local_name {self.host(name)} {{\n  ssl_cert = <{path}\n  ssl_key = <{path}\n}}\n")
        return "" if self.ssl == "no" else "".join(parts)
