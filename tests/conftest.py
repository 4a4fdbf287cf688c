"""Fixtures for every test: the sandbox, people, a clock; and the search for secrets after each test."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.health.outgoing import from_settings
from mailboxes.sandbox.server import Sandbox
from tests.make import Clock
from tests.secrets import LogKeeper, leaks_in_database

KEEPER = LogKeeper()


def pytest_configure() -> None:
    os.environ["TZ"] = "Asia/Tokyo"
    logging.getLogger().addHandler(KEEPER)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """In CI nothing may be skipped: what cannot run there is missing from .ci/run."""
    skipped = terminalreporter.stats.get("skipped", [])
    if os.environ.get("CI") and skipped and terminalreporter._session is not None:
        terminalreporter.write_line(f"{len(skipped)} skipped, and CI allows none", red=True)
        terminalreporter._session.exitstatus = 1


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for a test process; each test opens accounts of its own."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is moved."""
    return Clock()


@pytest.fixture
def support(db: None) -> User:
    """A member of staff with every right."""
    return get_user_model().objects.create_superuser("sue", "sue@postmend.test", "sue-signs-in-here")


@pytest.fixture
def support_client(support: User) -> Client:
    """Sue, signed in."""
    client = Client()
    client.force_login(support)
    return client


@pytest.fixture(autouse=True)
def no_secret_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: no secret in any table (but encrypted), and none in the logs (SPEC S1)."""
    KEEPER.lines.clear()
    uses_database = "db" in request.fixturenames or "transactional_db" in request.fixturenames
    yield
    assert KEEPER.leaks() == []
    if uses_database and "plants_a_secret" not in request.keywords:
        assert leaks_in_database() == []


@pytest.fixture
def network(sandbox: Sandbox, settings: Any, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """The web process's way out leads into the sandbox. Call it once more after further accounts."""

    def open_ports() -> None:
        there = sandbox.environment(tmp_path)
        settings.MAIL_RESOLVER = there["MAIL_RESOLVER"]
        settings.MAIL_ALLOWED_NETWORKS = (ipaddress.ip_network(there["MAIL_ALLOWED_NETWORKS"]),)
        settings.MAIL_ALLOWED_PORTS = sandbox.ports
        settings.MAIL_CA_FILE = there["MAIL_CA_FILE"]
        from_settings.cache_clear()

    open_ports()
    yield open_ports
    from_settings.cache_clear()
