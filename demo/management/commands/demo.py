"""The whole product on sandbox providers: real servers on loopback, web server and worker. Stop with Ctrl-C.

--once runs full health rounds on a throwaway database, then some days of mail, and exits 1 where a mailbox is not found
as expected, or a message that we call sent did not arrive once.
--mend mends one mailbox in each way, as a customer does, prints the seconds until its badge cleared, and ends.
--fault ADDRESS=FAULT switches a fault of the demo that is running (FAULT "none": it works again).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from demo.mending import mend_all
from demo.post import COLUMNS, run_post
from demo.processes import Children, port_is_free
from demo.rounds import MovedClock, disagreements, run_rounds, send_test_messages, way_out
from demo.seed import ForeignData, make_customers, make_staff, populate
from mailboxes.health.outgoing import Outgoing
from mailboxes.management.tables import show
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.runner import Bounds
from mailboxes.wire.values import Limits

INSIDE = "POSTMEND_DEMO_INSIDE"
# An hour of waiting between messages passes in a minute.
SPEED = 60
DEADLINES = {"CONNECT_DEADLINE_S": "3", "COMMAND_DEADLINE_S": "3", "CHECK_DEADLINE_S": "10"}


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true")
        parser.add_argument("--mend", action="store_true")
        parser.add_argument("--json", action="store_true", help="with --once or --mend: one object a line")
        parser.add_argument("--fault", metavar="ADDRESS=FAULT")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["fault"]:
            self._switch(options["fault"])
        elif options["mend"] and not os.environ.get(INSIDE):
            sys.exit(_in_throwaway_folder(options))
        elif not options["once"]:
            self._live(options["port"], mend=options["mend"], as_json=options["json"])
        elif os.environ.get(INSIDE):
            self._rounds(as_json=options["json"])
        else:
            sys.exit(_in_throwaway_folder(options))

    def _switch(self, wish: str) -> None:
        address, _, fault = wish.partition("=")
        if fault != "none" and fault not in faults():
            raise CommandError(f"Fault {fault!r} is unknown. Known: none, {', '.join(faults())}.")
        wishes = _wishes_file()
        if not wishes.parent.is_dir():
            raise CommandError("No demo runs here: start it with `make demo` first.")
        with wishes.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"address": address, "fault": fault}) + "\n")
        self.stdout.write(f"{address}: {fault}. Press “Check now” in the admin to see it at once.")

    def _rounds(self, *, as_json: bool) -> None:
        call_command("migrate", verbosity=0)
        with Sandbox() as sandbox:
            populate(sandbox, timezone.now())
            clock = MovedClock()
            outgoing = way_out(sandbox, clock)
            rows = run_rounds(outgoing, clock)
            mail = run_post(sandbox, outgoing, clock)
        if as_json:
            for row in rows + mail:
                self.stdout.write(json.dumps(row))
        else:
            self._print(rows)
            self._print_mail(mail)
        if wrong := disagreements(rows):
            raise CommandError(f"{wrong} of {len(rows)} mailboxes are not as expected.")
        if wrong := disagreements(mail):
            raise CommandError(f"{wrong} of {len(mail)} rows of mail: what we call sent is not what arrived.")

    def _print(self, rows: list[dict[str, Any]]) -> None:
        shown = [
            (list((row | {"ok": "yes" if row["ok"] else "NO"}).values()), "" if row["ok"] else "bold") for row in rows
        ]
        show(self.stdout, f"{len(rows)} mailboxes, expected and found", list(rows[0]), shown)
        self.stdout.write(f"{len(rows) - disagreements(rows)} of {len(rows)} agree.")

    def _print_mail(self, rows: list[dict[str, Any]]) -> None:
        shown = [
            (["yes" if row[name] is True else str(row[name]) for name in COLUMNS], "" if row["ok"] else "bold")
            for row in rows
        ]
        show(self.stdout, "What became of the mail", COLUMNS, shown)

    def _live(self, port: int, *, mend: bool, as_json: bool) -> None:
        if not port_is_free(port):
            raise CommandError(f"Port {port} is in use: give another one with --port.")
        call_command("migrate", verbosity=0)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with Sandbox() as sandbox:
            self._populate(sandbox)
            with self._served(sandbox, port) as children:
                if mend:
                    self._mend(f"http://127.0.0.1:{port}", sandbox, as_json=as_json)
                    return
                self._welcome(port)
                self._stay(sandbox, children, stop)

    def _populate(self, sandbox: Sandbox) -> None:
        try:
            populate(sandbox, timezone.now())
        except ForeignData as foreign:
            raise CommandError(str(foreign)) from None

    @contextmanager
    def _served(self, sandbox: Sandbox, port: int) -> Iterator[Children]:
        """Web server and worker, on the sandbox."""
        wishes = _wishes_file()
        wishes.unlink(missing_ok=True)
        speed = {"MAIL_SPEED": str(SPEED), "MAIL_SPEED_FROM": timezone.now().isoformat()}
        address = {"PUBLIC_URL": f"http://127.0.0.1:{port}"}
        environment = sandbox.environment(wishes.parent) | DEADLINES | speed | address
        send_test_messages(_outgoing(sandbox))
        server = ["-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}"]
        with Children(environment) as children:
            children.start(*server, "--log-level", "warning")
            children.start("manage.py", "worker")
            yield children
        wishes.unlink(missing_ok=True)

    def _stay(self, sandbox: Sandbox, children: Children, stop: threading.Event) -> None:
        """Grant wishes until it is stopped."""
        read = 0
        while children.all_run and not stop.wait(1.0):
            read = _grant_wishes(sandbox, _wishes_file(), read)
        if not stop.is_set():
            raise CommandError("The web server or the worker has ended: see its message above.")
        self.stdout.write("\nStopped.")

    def _mend(self, base: str, sandbox: Sandbox, *, as_json: bool) -> None:
        rows = mend_all(base, sandbox, make_customers())
        if as_json:
            self.stdout.write("\n".join(json.dumps(asdict(row)) for row in rows))
            return
        shown = [([row.way, row.address, str(row.seconds)], "" if row.seconds is not None else "bold") for row in rows]
        show(self.stdout, "Seconds until the badge cleared", ["way", "mailbox", "seconds"], shown)
        if any(row.seconds is None for row in rows):
            raise CommandError("A badge did not clear.")

    def _welcome(self, port: int) -> None:
        staff, customers = make_staff(), make_customers()
        names = "\n           ".join(f"{name:8} {secret}" for name, secret in staff.items())
        owners = "\n".join(f"           {address}  {secret}" for address, secret in customers.items())
        self.stdout.write(
            f"\nPostmend runs on sandbox providers.\n"
            f"  Open     http://127.0.0.1:{port}/admin/\n"
            f"  Sign in  {names}\n"
            f"  Customer http://127.0.0.1:{port}/  one of\n{owners}\n"
            f"  Mend     by signing in at the provider (a sandbox), or with the app password mend mend mend mend\n"
            f"  Switch   manage.py demo --fault anna@northwind.test=none   (or {', '.join(list(faults())[:3])}, …)\n"
            f"  Stop     Ctrl-C\n\nBadges settle within seconds; what must be confirmed takes ten minutes.\n"
        )
        self.stdout.flush()


def _outgoing(sandbox: Sandbox) -> Outgoing:
    connector = sandbox.connector(Limits(connect_s=3.0, command_s=3.0, total_s=10.0))
    return Outgoing(mail=connector, tokens=connector, bounds=Bounds())


def _wishes_file() -> Path:
    return Path(settings.DATA_DIR) / "demo" / "faults.jsonl"


def _grant_wishes(sandbox: Sandbox, wishes: Path, read: int) -> int:
    """Switch the faults that were asked for since the last look; returns how many lines were read in all."""
    lines = wishes.read_text(encoding="utf-8").splitlines() if wishes.exists() else []
    for line in lines[read:]:
        wish = json.loads(line)
        if wish["address"] in sandbox.accounts:
            sandbox.set_fault(wish["address"], faults().get(wish["fault"], NO_FAULT))
    return len(lines)


def _in_throwaway_folder(options: dict[str, Any]) -> int:
    """Run it in a process of its own with a database of its own: nothing of the usual demo is touched."""
    port = ["--port", str(options["port"])]
    wanted = ["--mend", *port] if options["mend"] else ["--once"]
    arguments = [sys.executable, "manage.py", "demo", *wanted, *(["--json"] if options["json"] else [])]
    with tempfile.TemporaryDirectory(prefix="postmend-demo-") as folder:
        database = f"sqlite:///{folder}/db.sqlite3"
        environment = os.environ | {"POSTMEND_DATA_DIR": folder, "DATABASE_URL": database, INSIDE: "1"}
        return subprocess.run(arguments, cwd=settings.BASE_DIR, env=environment, check=False).returncode
