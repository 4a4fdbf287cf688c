"""A worker process to be killed: `python -m tests.worker.mail_child JSON`. It checks, reads and sends until it is
ended, by a clock that runs many times as fast: leases, spacing and retries take seconds."""

from __future__ import annotations

import ipaddress
import json
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django
from django.conf import settings

order = json.loads(sys.argv[1])
settings.DATABASES["default"]["NAME"] = order["database"]
django.setup()

from django.db import DatabaseError, InterfaceError, connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from mailboxes.health import due  # noqa: E402
from mailboxes.health.outgoing import Outgoing  # noqa: E402
from mailboxes.inbox import rounds  # noqa: E402
from mailboxes.wire.addresses import AddressPolicy  # noqa: E402
from mailboxes.wire.connector import Connector  # noqa: E402
from mailboxes.wire.resolver import DnsResolver  # noqa: E402
from mailboxes.wire.runner import Bounds  # noqa: E402
from mailboxes.wire.tls import tls_client  # noqa: E402
from mailboxes.wire.values import Limits  # noqa: E402

START = datetime.fromisoformat(order["from"])
LIMITS = Limits(dns_s=1.0, connect_s=1.0, command_s=1.0, total_s=1.8)  # within the lease by the fast clock


def clock() -> datetime:
    return START + (timezone.now() - START) * float(order["speed"])


def outgoing() -> Outgoing:
    policy = AddressPolicy(
        ports=frozenset(),
        allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),),
        allowed_ports=frozenset(order["ports"]),
    )
    resolver = DnsResolver(("127.0.0.1", order["dns_port"]))
    connector = Connector(resolver=resolver, policy=policy, tls=tls_client(Path(order["ca_file"])), limits=LIMITS)
    return Outgoing(connector, connector, Bounds(total=50, per_host=10), clock)


def work(way_out: Outgoing) -> None:
    try:
        due.check_due(50, way_out)
        rounds.read_round(50, way_out)
        rounds.send_round(50, way_out)
    except (DatabaseError, InterfaceError) as error:  # the connection was cut: as a task does, begin anew
        print(type(error).__name__, file=sys.stderr)  # noqa: T201
        connection.close()


print("begun", flush=True)  # noqa: T201
until, way = time.monotonic() + order["seconds"], outgoing()
while time.monotonic() < until:
    work(way)
    time.sleep(timedelta(milliseconds=50).total_seconds())
