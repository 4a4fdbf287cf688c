"""Dovecot and Postfix for one test process; skipped with the reason where they cannot run (in CI a failure)."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailboxes.diagnosis.categories import Category
from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Reply
from mailboxes.sandbox.authority import Authority
from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.runner import check
from mailboxes.wire.values import Endpoint, LegTarget, Letter, Login, Report, Security, Target
from tests.foreign.dovecot import Dovecot
from tests.foreign.introspection import Introspection
from tests.foreign.postfix import Postfix
from tests.foreign.processes import LISTEN, CannotRun
from tests.make import FAST, secret
from tests.resolvers import OneAddress

BOXES = [f"box{number}@foreign.test" for number in range(120)]


@dataclass
class Foreign:
    """The servers, and how a check of ours reaches them."""

    dovecot: Dovecot
    introspection: Introspection
    _fresh: Iterator[str] = field(default_factory=lambda: iter(BOXES))

    def login(self) -> Login:
        """An address that no other test has, with its password."""
        address, password = next(self._fresh), secret()
        self.dovecot.add(address, password)
        return Login(address, password)

    def connector(self, ports: frozenset[int]) -> Connector:
        """A connector that may reach these ports and trusts the servers' authority."""
        policy = AddressPolicy(
            ports=frozenset(), allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),), allowed_ports=ports
        )
        return Connector(resolver=OneAddress(LISTEN), policy=policy, tls=self.dovecot.authority.client(), limits=FAST)

    def place(self, leg: str, security: Security = Security.SSL, name: str = "mail") -> Endpoint:
        """One of Dovecot's ports, under the name that shows one of its certificates."""
        server, implicit = self.dovecot, security is Security.SSL
        ports = {"smtp": (server.submission, server.submissions), "imap": (server.imap, server.imaps)}
        return Endpoint(server.host(name), ports[leg][implicit], security)


def run(foreign: Foreign, target: Target, ports: frozenset[int] | None = None) -> dict[str, Report]:
    """The reports of one check, by leg."""
    reports = asyncio.run(check(target, foreign.connector(ports or foreign.dovecot.ports)))
    return {report.leg.value: report for report in reports}


def both(smtp: Endpoint, imap: Endpoint, login: Login, *, message: Letter | None = None) -> Target:
    """Both legs with one login."""
    return Target(LegTarget(smtp, login), LegTarget(imap, login), message=message)


def category(report: Report) -> Category | None:
    """What our rules make of the report; None for one that passed."""
    step = report.failed
    if step is None:
        return None
    return engine().diagnose(Reply(step.text, report.leg.value, step.stage.value, "", step.code)).category


_messages = itertools.count(1)


def to_itself(address: str, text: str = "hello") -> Letter:
    """A message to oneself, with a Message-ID of its own."""
    message_id = f"<{next(_messages)}@foreign.test>"
    headers = f"From: {address}\r\nTo: {address}\r\nMessage-ID: {message_id}\r\nSubject: to myself\r\n\r\n"
    return Letter(address, address, message_id, f"{headers}{text}\r\n".encode())


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that the servers' own accounts can read."""
    with tempfile.TemporaryDirectory(prefix="postmend-foreign-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="session")
def servers(folder: Path) -> Iterator[tuple[Foreign, Postfix]]:
    """Dovecot, running, and a Postfix that is not started yet: Dovecot hands its submissions to it."""
    with Introspection() as introspection:
        (folder / "dovecot").mkdir()
        dovecot = Dovecot(folder / "dovecot", Authority(), introspection_url=introspection.url)
        postfix = Postfix(folder / "postfix", dovecot, boxes=BOXES)
        dovecot.relay_port = postfix.relay
        try:
            with dovecot:
                yield Foreign(dovecot, introspection), postfix
        except CannotRun as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="session")
def foreign(servers: tuple[Foreign, Postfix]) -> Foreign:
    """Dovecot and its token introspection."""
    return servers[0]


@pytest.fixture(scope="session")
def postfix(servers: tuple[Foreign, Postfix]) -> Iterator[Postfix]:
    """Postfix, logging in by Dovecot's accounts and delivering into its maildirs."""
    try:
        with servers[1] as running:
            yield running
    except CannotRun as reason:
        pytest.skip(str(reason))
