"""Read inboxes now: those named, those due (--due), or all that can be read (--all). --json: one object a line."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import track

from mailboxes.health.check import Checked
from mailboxes.health.outgoing import from_settings
from mailboxes.inbox import plugs
from mailboxes.inbox.due import claim_due
from mailboxes.inbox.visiting import read
from mailboxes.management.addresses import by_address, cut
from mailboxes.management.tables import show
from mailboxes.models import Mailbox
from mailboxes.wire.visits import Visit

COLUMNS = ("address", "ok", "complete", "messages", "folders", "code")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("addresses", nargs="*", metavar="ADDRESS")
        parser.add_argument("--due", action="store_true", help="what is due now")
        parser.add_argument("--all", action="store_true", help="all that can be read")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = (row for batch in _batches(options) for row in _read(batch))
        if options["json"]:
            for row in rows:
                self.stdout.write(json.dumps(row))
            return
        shown = list(track(rows, total=None, description="Reading", console=Console(stderr=True)))
        show(self.stdout, f"{len(shown)} read", COLUMNS, ((list(row.values()), "") for row in shown))


def _batches(options: dict[str, Any]) -> Iterator[list[int]]:
    if sum((bool(options["addresses"]), options["due"], options["all"])) != 1:
        raise CommandError("Name addresses, or give one of --due and --all.")
    if options["due"]:
        return _due()
    named = by_address(options["addresses"]) if options["addresses"] else None
    wanted = Mailbox.objects.can_read() if named is None else Mailbox.objects.can_read().filter(id__in=named)
    readable = list(wanted.order_by("id").values_list("id", flat=True))
    if named and not readable:
        raise CommandError("None of these can be read now: they are not connected, or paused.")
    return cut(readable)


def _due() -> Iterator[list[int]]:
    while ids := claim_due(settings.CHECK_BATCH, from_settings().clock()):
        yield ids


def _read(ids: list[int]) -> Iterator[dict[str, Any]]:
    visits = read(ids, from_settings())
    plugs.take(from_settings().clock())
    return (_row(one) for one in visits)


def _row(one: Checked[Visit]) -> dict[str, Any]:
    """A mailbox whose grant was refused before the visit has no folders."""
    visit = one.found
    failed = next((report.failed for report in one.reports if report.failed), None)
    return {
        "address": one.subject.address,
        "ok": one.passed,
        "complete": visit.complete if visit else False,
        "messages": sum(len(folder.messages) for folder in visit.folders) if visit else 0,
        "folders": [folder.before.folder for folder in visit.folders] if visit else [],
        "code": failed.code if failed else "",
    }
