"""The way out as settings say: connectors for mail and for token endpoints, bounds, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from django.conf import settings

from mailboxes import clock
from mailboxes.wire.addresses import EXCHANGER_PORTS, MAIL_PORTS, TOKEN_PORTS, AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.resolver import DnsResolver
from mailboxes.wire.runner import Bounds
from mailboxes.wire.tls import TlsClient, opportunistic_client, tls_client


@dataclass(frozen=True)
class Outgoing:
    """Everything that a batch needs of the world outside. `clock` returns the time in UTC, by the database (H17);
    `exchangers` reaches the mail exchangers of domains, for our own mail alone."""

    mail: Connector
    tokens: Connector
    bounds: Bounds
    clock: Callable[[], datetime] = clock.now
    exchangers: Connector | None = None
    exchanger_port: int = 25


@cache
def from_settings() -> Outgoing:
    """One for the process: the TLS context is shared by all checks."""
    ca_file = Path(settings.MAIL_CA_FILE) if settings.MAIL_CA_FILE else None
    tls = tls_client(ca_file, settings.TLS_RESUME_S)
    resolver = DnsResolver(_name_server(settings.MAIL_RESOLVER))

    def connector(ports: frozenset[int], tls: TlsClient) -> Connector:
        policy = AddressPolicy(
            ports=ports,
            allowed_networks=settings.MAIL_ALLOWED_NETWORKS,
            allowed_ports=settings.MAIL_ALLOWED_PORTS,
        )
        return Connector(
            resolver=resolver,
            policy=policy,
            tls=tls,
            limits=settings.MAIL_LIMITS,
            ehlo_name=settings.MAIL_EHLO_NAME,
        )

    bounds = Bounds(total=settings.CHECKS_UNDER_WAY, per_host=settings.CHECKS_PER_HOST)
    return Outgoing(
        mail=connector(MAIL_PORTS, tls),
        tokens=connector(TOKEN_PORTS, tls),
        exchangers=connector(EXCHANGER_PORTS, opportunistic_client()),
        bounds=bounds,
        exchanger_port=settings.MAIL_EXCHANGER_PORT,
    )


def _name_server(setting: str) -> tuple[str, int] | None:
    if not setting:
        return None
    host, _, port = setting.rpartition(":")
    return host, int(port)
