"""One measured process: `python -m tests.benchmarks.subject PLACE SUBJECT UNDER_WAY CHECKS`.

It warms up, then does so many checks with so many under way, and prints its own CPU seconds, seconds and peak memory.
"""

from __future__ import annotations

import asyncio
import imaplib
import ipaddress
import itertools
import json
import resource
import smtplib
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.runner import check
from mailboxes.wire.tls import RESUME_FOR_S, tls_client
from mailboxes.wire.values import Endpoint, LegTarget, Limits, Login, Security, Target
from tests.benchmarks.servers import PASSWORD, Place, read
from tests.resolvers import OneAddress

Work = Callable[[str], Awaitable[None]]


def context(place: Place) -> ssl.SSLContext:
    """One for all checks of the process, as every subject makes it."""
    return ssl.create_default_context(cafile=place.ca_file)


def handshakes(place: Place) -> Work:
    """Two raw TLS handshakes, and nothing else: the baseline."""
    tls = context(place)

    async def work(_user: str) -> None:
        for host, port in ((place.smtp_host, place.smtp_port), (place.imap_host, place.imap_port)):
            _reader, writer = await asyncio.open_connection(place.address, port, ssl=tls, server_hostname=host)
            writer.transport.abort()

    return work


def loopback(ports: set[int]) -> AddressPolicy:
    """Loopback is open, at these ports."""
    return AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),), allowed_ports=frozenset(ports))


def ours(place: Place, resume_for_s: float) -> Work:
    """A check of both legs as production runs it."""
    policy = loopback({place.smtp_port, place.imap_port})
    tls = tls_client(Path(place.ca_file), resume_for_s)
    connector = Connector(resolver=OneAddress(place.address), policy=policy, tls=tls, limits=Limits())
    smtp = Endpoint(place.smtp_host, place.smtp_port, Security.SSL)
    imap = Endpoint(place.imap_host, place.imap_port, Security.SSL)

    async def work(user: str) -> None:
        login = Login(user, PASSWORD)
        reports = await check(Target(LegTarget(smtp, login), LegTarget(imap, login)), connector)
        assert all(report.ok for report in reports), [report.failed for report in reports]

    return work


def by_threads(place: Place, under_way: int) -> Work:
    """The standard library's clients, a thread for each check under way."""
    tls = context(place)
    tls.check_hostname = False  # they resolve names themselves, and these names do not exist
    pool = ThreadPoolExecutor(under_way)

    def one(user: str) -> None:
        smtp = smtplib.SMTP_SSL(place.address, place.smtp_port, context=tls)
        smtp.login(user, PASSWORD)
        smtp.close()
        with imaplib.IMAP4_SSL(place.address, place.imap_port, ssl_context=tls) as imap:
            imap.login(user, PASSWORD)
            imap.select("INBOX")

    async def work(user: str) -> None:
        await asyncio.get_running_loop().run_in_executor(pool, one, user)

    return work


async def many(work: Work, users: list[str], checks: int, under_way: int) -> None:
    """So many checks, so many at once."""
    names = itertools.islice(itertools.cycle(users), checks)

    async def one_lane() -> None:
        for user in names:
            await work(user)

    await asyncio.gather(*(one_lane() for _ in range(under_way)))


async def measure(place: Place, subject: str, under_way: int, checks: int) -> dict[str, float]:
    """CPU seconds, seconds, and peak memory in KiB."""
    work = {
        "handshakes": lambda: handshakes(place),
        "ours": lambda: ours(place, 0),
        "ours, resumed": lambda: ours(place, RESUME_FOR_S),
        "smtplib and imaplib": lambda: by_threads(place, under_way),
    }[subject]()
    await many(work, place.users, under_way, under_way)
    cpu, began = time.process_time(), time.perf_counter()
    await many(work, place.users, checks, under_way)
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - began,
        "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


if __name__ == "__main__":
    _, where, what, lanes, number = sys.argv
    print(json.dumps(uvloop.run(measure(read(where), what, int(lanes), int(number)))))
