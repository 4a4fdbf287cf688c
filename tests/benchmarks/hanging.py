"""Throughput while some hosts hang: `python -m tests.benchmarks.hanging PLACE SHARE` prints checks per second.

The pool is fed as production feeds it. Only a steady state counts: hung checks fill their places first.
"""

from __future__ import annotations

import itertools
import socket
import sys
import time
from functools import partial
from pathlib import Path

from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.runner import Bounds, Job, Pool, check
from mailboxes.wire.tls import tls_client
from mailboxes.wire.values import Endpoint, LegTarget, Limits, Login, Report, Security, Target
from tests.benchmarks.servers import PASSWORD, read
from tests.benchmarks.subject import loopback
from tests.resolvers import OneAddress

FILL_S, MEASURE_S = 18.0, 20.0
Result = tuple[Report, ...]


def throughput(where: str, share: float) -> float:
    """Checks that end in a second, hung ones among them, with this share of all on hosts that say nothing."""
    place, silent = read(where), socket.create_server(("127.0.0.2", 0), backlog=4096)
    ports = {place.smtp_port, place.imap_port, silent.getsockname()[1]}
    tls = tls_client(Path(place.ca_file))
    policy: AddressPolicy = loopback(ports)
    connector = Connector(resolver=OneAddress(place.address), policy=policy, tls=tls, limits=Limits())
    every = round(1 / share) if share else 0
    numbers, done, began = itertools.count(1), 0, time.monotonic()

    def job() -> Job[int, Result]:
        number = next(numbers)
        hangs = bool(every) and number % every == 0
        ports = (silent.getsockname()[1],) * 2 if hangs else (place.smtp_port, place.imap_port)
        login = Login(place.users[number % len(place.users)], PASSWORD)
        smtp, imap = (LegTarget(Endpoint(place.smtp_host, port, Security.SSL), login) for port in ports)
        return Job(number, f"host{number}", partial(check, Target(smtp, imap), connector))

    with Pool[int, Result](Bounds(total=250)) as pool:
        for _ in range(500):
            pool.add(job())
        for _found in pool.results():
            waited = time.monotonic() - began
            done += FILL_S <= waited < FILL_S + MEASURE_S
            if waited >= FILL_S + MEASURE_S:
                break
            if pool.has_room:
                pool.add(job())
    silent.close()
    return done / MEASURE_S


if __name__ == "__main__":
    print(throughput(sys.argv[1], float(sys.argv[2])))
