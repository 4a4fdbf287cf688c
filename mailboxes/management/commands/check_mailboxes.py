"""Check mailboxes now: those named, those due (--due), or all (--all). One JSON object a line with --json."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import track

from mailboxes.health.check import Checked
from mailboxes.health.due import check_mailboxes, claim_due
from mailboxes.health.outgoing import from_settings
from mailboxes.management.addresses import by_address, cut
from mailboxes.management.tables import show
from mailboxes.models import Mailbox
from mailboxes.states import Source

COLUMNS = ("address", "status", "legs", "category", "actor", "duration_ms")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("addresses", nargs="*", metavar="ADDRESS")
        parser.add_argument("--due", action="store_true", help="what is due now")
        parser.add_argument("--all", action="store_true", help="every mailbox, refused passwords too")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        batches = self._batches(options)
        if options["json"]:
            for batch in batches:
                for row in _check(batch):
                    self.stdout.write(json.dumps(row))
            return
        shown = track(batches, total=None, description="Checking", console=Console(stderr=True))
        self._print([row for batch in shown for row in _check(batch)])

    def _batches(self, options: dict[str, Any]) -> Iterator[tuple[list[int], Source]]:
        """Mailbox ids in batches, with what the check counts as."""
        if sum((bool(options["addresses"]), options["due"], options["all"])) != 1:
            raise CommandError("Name addresses, or give one of --due and --all.")
        if options["due"]:
            return _due()
        ids = by_address(options["addresses"]) if options["addresses"] else _everything()
        return ((batch, Source.ASKED) for batch in cut(ids))

    def _print(self, rows: Sequence[dict[str, Any]]) -> None:
        show(self.stdout, f"{len(rows)} checked", COLUMNS, ((list(_shown(row).values()), "") for row in rows))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"legs": " ".join(f"{leg}:{'ok' if ok else 'FAIL'}" for leg, ok in row["legs"].items())}


def _due() -> Iterator[tuple[list[int], Source]]:
    while ids := claim_due(settings.CHECK_BATCH, from_settings().clock()):
        yield ids, Source.CHECK


def _everything() -> list[int]:
    return list(Mailbox.objects.present().order_by("id").values_list("id", flat=True))


def _check(batch: tuple[list[int], Source]) -> Iterator[dict[str, Any]]:
    ids, source = batch
    checked = {one.subject.mailbox_id: one for one in check_mailboxes(ids, source, from_settings())}
    rows = Mailbox.objects.filter(id__in=ids).order_by("address")
    return (_row(mailbox, checked.get(mailbox.pk)) for mailbox in rows)


def _row(mailbox: Mailbox, checked: Checked[None] | None) -> dict[str, Any]:
    """A mailbox that could not be checked (no usable credential, no time left) has no legs."""
    took = checked.observed_at - checked.begun_at if checked else timedelta(0)
    return {
        "address": mailbox.address,
        "status": mailbox.status,
        "legs": {report.leg.value: report.ok for report in checked.reports} if checked else {},
        "category": mailbox.category,
        "actor": mailbox.actor,
        "duration_ms": round(took.total_seconds() * 1000),
    }
