"""Send what may be sent now: campaigns, warm-up and answers. One JSON object a line with --json."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from rich.console import Console
from rich.progress import track

from mailboxes.health.outgoing import from_settings
from mailboxes.inbox.rounds import send_round
from mailboxes.management.tables import show
from mailboxes.models import OutMessage

COLUMNS = ("mailbox", "recipient", "purpose", "state", "attempts", "text")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = _send()
        if options["json"]:
            for row in rows:
                self.stdout.write(json.dumps(row))
            return
        shown = list(track(rows, total=None, description="Sending", console=Console(stderr=True)))
        show(self.stdout, f"{len(shown)} handled", COLUMNS, ((list(row.values()), "") for row in shown))


def _send() -> Iterator[dict[str, Any]]:
    """Rounds until none hands anything to a server any more; each message as it stands after its round."""
    outgoing = from_settings()
    while True:
        began = outgoing.clock()
        send_round(settings.CHECK_BATCH, outgoing)
        handed = OutMessage.objects.filter(on_wire_at__gte=began).select_related("mailbox").order_by("id")
        rows = [_row(row) for row in handed]
        if not rows:
            return
        yield from rows


def _row(row: OutMessage) -> dict[str, Any]:
    return {
        "mailbox": row.mailbox.address,
        "recipient": row.recipient,
        "purpose": row.purpose,
        "state": row.state,
        "attempts": row.attempts,
        "text": row.text,
    }
