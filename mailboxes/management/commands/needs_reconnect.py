"""Which mailboxes need a reconnect, why, and who must act. One JSON object a line with --json."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mailboxes.management.tables import show
from mailboxes.models import Mailbox

COLUMNS = ("workspace", "address", "status", "category", "pause_reason", "actor", "since")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = Mailbox.objects.needing_reconnect().select_related("workspace").order_by("workspace__name", "address")
        if options["json"]:
            for mailbox in rows.iterator():
                self.stdout.write(json.dumps(_row(mailbox)))
            return
        show(self.stdout, "Reconnect required", COLUMNS, ((list(_row(one).values()), "") for one in rows.iterator()))


def _row(mailbox: Mailbox) -> dict[str, str]:
    return {
        "workspace": mailbox.workspace.name,
        "address": mailbox.address,
        "status": mailbox.status,
        "category": mailbox.category,
        "pause_reason": mailbox.pause_reason,
        "actor": mailbox.actor,
        "since": mailbox.status_since.isoformat(timespec="seconds"),
    }
