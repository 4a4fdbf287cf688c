"""A worker process to be killed: `python -m tests.worker.child JSON`. It checks what is due, batch after batch."""

from __future__ import annotations

import ipaddress
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django
from django.conf import settings

order = json.loads(sys.argv[1])
settings.DATABASES["default"]["NAME"] = order["database"]
django.setup()

from django.utils import timezone  # noqa: E402

from mailboxes.health import due  # noqa: E402
from mailboxes.health.outgoing import Outgoing  # noqa: E402
from mailboxes.wire.addresses import AddressPolicy  # noqa: E402
from mailboxes.wire.connector import Connector  # noqa: E402
from mailboxes.wire.resolver import DnsResolver  # noqa: E402
from mailboxes.wire.runner import Bounds  # noqa: E402
from mailboxes.wire.tls import tls_client  # noqa: E402
from mailboxes.wire.values import Limits  # noqa: E402

due.FLUSH_AT = 3  # small flushes, so that a kill falls between them


def outgoing() -> Outgoing:
    policy = AddressPolicy(
        ports=frozenset(),
        allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),),
        allowed_ports=frozenset(order["ports"]),
    )
    resolver = DnsResolver(("127.0.0.1", order["dns_port"]))
    connector = Connector(
        resolver=resolver, policy=policy, tls=tls_client(Path(order["ca_file"])), limits=Limits(total_s=8.0)
    )
    shift = timedelta(minutes=order["minutes"])
    return Outgoing(connector, connector, Bounds(total=4, per_host=4), lambda: timezone.now() + shift)


print("begun", flush=True)  # noqa: T201
while due.check_due(12, outgoing()):
    pass
print("done", flush=True)  # noqa: T201
