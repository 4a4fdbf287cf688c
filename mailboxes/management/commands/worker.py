"""Run one worker machine: the queue's cluster, rung every 5 s and restarted when it freezes. Stop with Ctrl-C."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from mailboxes.production import refuse_bad_settings
from mailboxes.worker import TICK_S, Cluster, run


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_bad_settings()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self._wait_for_database(stop)
        self.stdout.write("Worker started. Stop with Ctrl-C.")
        record = Path(settings.DATA_DIR) / f"worker-{settings.Q_CLUSTER['name']}.pid"
        run(Cluster(record=record), stopping=stop.is_set, wait=stop.wait)

    def _wait_for_database(self, stop: threading.Event) -> None:
        """A machine may start before its database does."""
        while not stop.is_set():
            try:
                connection.ensure_connection()
            except DatabaseError as error:
                connection.close()
                self.stderr.write(f"No database yet ({type(error).__name__}); tried again in {TICK_S:.0f} s.")
                stop.wait(TICK_S)
            else:
                return
