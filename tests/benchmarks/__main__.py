"""`make bench`: what a check costs, as a ratio to two raw TLS handshakes in the same run, on this machine's cores.

Prints a Markdown table. CPU is this process's; the sandbox runs in a process of its own. Median of five.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.runner import Bounds, Job, check
from mailboxes.wire.tls import TlsClient
from mailboxes.wire.values import Endpoint, LegTarget, Limits, Login, Security, Target
from tests.pool import stream
from tests.resolvers import OneAddress

CHECKS = 100
ROUNDS = 5
UNDER_WAY = (1, 50)
PASSWORD = "bench-password"


def serve(folder: str) -> None:
    """The sandbox's own process: one account, its places written to a file; ends with its parent's pipe."""
    with Sandbox() as sandbox:
        account = sandbox.add("bench@bench.test", PASSWORD)
        assert account.smtp and account.imap
        sandbox.authority.write(Path(folder) / "ca.pem")
        places = [[place.host, place.port] for place in (account.smtp, account.imap)]
        (Path(folder) / "places.json").write_text(json.dumps(places))
        print("ready", flush=True)
        sys.stdin.read()


def cost(jobs: int, work: Callable[[], Coroutine[Any, Any, Any]], under_way: int) -> tuple[float, float]:
    """CPU seconds and checks per second of so many jobs, median of five runs."""
    cpu, rate = [], []
    for _round in range(ROUNDS):
        cpu_began, began = time.process_time(), time.perf_counter()
        done = list(stream([Job(number, "h", work) for number in range(jobs)], Bounds(under_way, under_way)))
        assert len(done) == jobs
        cpu.append(time.process_time() - cpu_began)
        rate.append(jobs / (time.perf_counter() - began))
    return statistics.median(cpu) / jobs, statistics.median(rate)


def measure(folder: Path) -> None:
    (smtp_host, smtp_port), (imap_host, imap_port) = json.loads((folder / "places.json").read_text())
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    policy = AddressPolicy(
        allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),), allowed_ports=frozenset({smtp_port, imap_port})
    )
    connector = Connector(
        resolver=OneAddress("127.0.0.1"),
        policy=policy,
        tls=TlsClient(context, float(os.environ.get("RESUME", "0"))),
        limits=Limits(),
    )
    login = Login("bench@bench.test", PASSWORD)
    wanted = Target(
        LegTarget(Endpoint(smtp_host, smtp_port, Security.SSL), login),
        LegTarget(Endpoint(imap_host, imap_port, Security.SSL), login),
    )

    async def one_check() -> None:
        assert all(report.ok for report in await check(wanted, connector))

    async def two_handshakes() -> None:
        for host, port in ((smtp_host, smtp_port), (imap_host, imap_port)):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
            writer.transport.abort()

    print(
        f"# What a check costs\n\n{os.cpu_count()} cores, {ssl.OPENSSL_VERSION}, {CHECKS} checks, median of {ROUNDS}\n"
    )
    print("| under way | two raw handshakes, CPU ms | one check, CPU ms | ratio | checks per second |")
    print("| --- | --- | --- | --- | --- |")
    for under_way in UNDER_WAY:
        raw, _ = cost(CHECKS, two_handshakes, under_way)
        whole, rate = cost(CHECKS, one_check, under_way)
        print(f"| {under_way} | {raw * 1000:.2f} | {whole * 1000:.2f} | {whole / raw:.2f} | {rate:.0f} |", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
        return
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks", "serve", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None and server.stdout.readline() == "ready\n"
            measure(Path(folder))
            assert server.stdin is not None
            server.stdin.close()


if __name__ == "__main__":
    main()
