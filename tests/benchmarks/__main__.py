"""`make bench`: what a check and a row cost here, as ratios to a baseline in the same run; a Markdown report.

python -m tests.benchmarks [FILE]. Each figure is the median of five processes that take turns; CPU is the measured
process's own, without the servers'.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import ssl
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.servers import serving

ROUNDS = 5
CHECKS = 400
UNDER_WAY = (1, 50, 250)
BASELINE, OURS, RESUMED = "handshakes", "ours", "ours, resumed"
NODE = "nodemailer and imapflow"
SUBJECTS = (BASELINE, OURS, RESUMED, "smtplib and imaplib", NODE)
SHARES = ("0", "0.02")
HERE = Path(__file__).parent

MACHINE = """{cores} cores, Python {python}, {openssl}, against {servers} on loopback, on the same cores.
"""
METHOD = f"""Each line is the median of {ROUNDS} processes that took turns, {CHECKS} checks each after a warm-up. CPU is
the process's own. A check is both legs: TLS, login, folder opened, goodbye. Certificates are a leaf with one
intermediate, as public authorities issue them. Every subject makes one TLS context and keeps it.
"""
HANGING = """
## Hosts that hang

250 under way, fed as production feeds; a steady state of 20 seconds, median of three.
"""
ROWS = """
## What a row costs

Claim and record on PostgreSQL, batches of 500, both legs, one mailbox in fifty failing.
"""
PEERS = """
## Peers in a small and in a large pool

A peer each for 50 senders, of other workspaces, on PostgreSQL; the median of 20.
"""


def run(*command: str | Path) -> str:
    """What a measured process prints."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:4]} failed: {done.stderr[-800:]}")
    return done.stdout


def node_modules(folder: Path) -> Path | None:
    """nodemailer and imapflow, installed here; None where npm cannot."""
    if shutil.which("npm") is None:
        return None
    shutil.copy(HERE / "package.json", folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", str(folder)]
    done = subprocess.run(command, capture_output=True, cwd=folder, check=False)
    return folder if done.returncode == 0 else None


def checks(place: Path, modules: Path | None) -> Iterator[str]:
    """The table of what a check costs."""
    yield "| under way | what | CPU ms a check | ratio | checks a second | peak memory, MiB |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: |"
    for under_way in UNDER_WAY:
        found: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _round in range(ROUNDS):
            for subject in SUBJECTS if modules else SUBJECTS[:-1]:
                command: tuple[str | Path, ...] = (sys.executable, "-m", "tests.benchmarks.subject", place, subject)
                if subject == NODE:
                    command = ("node", HERE / "subject.mjs", modules or "", place)
                found[subject].append(json.loads(run(*command, str(under_way), str(CHECKS))))
        base = _median(found[BASELINE], "cpu_s")
        for subject, rows in found.items():
            cpu, wall, peak = (_median(rows, key) for key in ("cpu_s", "wall_s", "peak_kib"))
            name = "two raw TLS handshakes" if subject == BASELINE else f"one check, {subject}"
            figures = f"{cpu / CHECKS * 1000:.2f} | {cpu / base:.2f} | {CHECKS / wall:.0f} | {peak / 1024:.0f}"
            yield f"| {under_way} | {name} | {figures} |"


def hanging(place: Path) -> Iterator[str]:
    """The table of what hosts that hang cost."""
    rates: dict[str, list[float]] = defaultdict(list)
    for _round in range(3):
        for share in SHARES:
            rates[share].append(float(run(sys.executable, "-m", "tests.benchmarks.hanging", place, share)))
    whole, some = (statistics.median(rates[share]) for share in SHARES)
    yield "| hosts that hang | checks a second | lost |"
    yield "| ---: | ---: | ---: |"
    yield f"| none | {whole:.0f} | |"
    yield f"| 2 % | {some:.0f} | {100 * (1 - some / whole):.0f} % |"


def database() -> Iterator[str]:
    """The table of what a row costs, or why there is none."""
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        yield "Not measured: DATABASE_URL names no PostgreSQL (`scripts/with-postgres` starts a throwaway one)."
        return
    rows = [json.loads(line) for line in run(sys.executable, "-m", "tests.benchmarks.database").splitlines()]
    yield "| mailboxes | claim, ms each | record, ms each | ratio | of it our CPU, ms | queries for a batch of 500 |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    first = rows[0]["claim_ms"] + rows[0]["record_ms"]
    for row in rows:
        claim, write = row["claim_ms"], row["record_ms"]
        figures = (
            f"{claim:.3f} | {write:.3f} | {(claim + write) / first:.2f} | {row['cpu_ms']:.3f} | {row['queries']:.0f}"
        )
        yield f"| {row['size']:,} | {figures} |"


def peers() -> Iterator[str]:
    """The table of what choosing peers costs, or why there is none."""
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        yield "Not measured: DATABASE_URL names no PostgreSQL."
        return
    rows = [json.loads(line) for line in run(sys.executable, "-m", "tests.benchmarks.peers").splitlines()]
    yield "| members of the pool | peers for 50 senders, ms | ratio |"
    yield "| ---: | ---: | ---: |"
    for row in rows:
        yield f"| {row['size']:,} | {row['ms']:.1f} | {row['ms'] / rows[0]['ms']:.2f} |"


def report() -> Iterator[str]:
    """The report's lines, as they become known."""
    with TemporaryDirectory(prefix="postmend-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        modules = node_modules(folder)
        with serving(folder) as servers:
            place = servers.write(folder)
            yield "# What a check costs\n"
            yield MACHINE.format(
                cores=os.cpu_count(),
                python=platform.python_version(),
                openssl=ssl.OPENSSL_VERSION,
                servers=servers.name,
            )
            yield METHOD
            yield from checks(place, modules)
            yield "" if modules else "\nNode was not measured: npm is not reachable."
            yield HANGING
            yield from hanging(place)
    yield ROWS
    yield from database()
    yield PEERS
    yield from peers()


def _median(rows: list[dict[str, float]], key: str) -> float:
    return statistics.median(row[key] for row in rows)


def main() -> None:
    lines = []
    for line in report():
        print(line, flush=True)
        lines.append(line)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
