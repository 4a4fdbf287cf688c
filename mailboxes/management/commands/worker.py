"""Run one worker machine: the queue's cluster, rung every 5 s and restarted when it freezes. Stop with Ctrl-C."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from mailboxes.worker import Cluster, run


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        call_command("sync_schedules")
        self.stdout.write("Worker started. Stop with Ctrl-C.")
        record = Path(settings.DATA_DIR) / f"worker-{settings.Q_CLUSTER['name']}.pid"
        record.parent.mkdir(parents=True, exist_ok=True)
        run(Cluster(record=record), stopping=stop.is_set, wait=stop.wait)
