"""Encrypt all stored secrets anew with the first of FERNET_KEYS; afterwards the older keys can go (docs/keys.md).

Run it once every process knows the new key. It may be stopped and run again at any time, while work goes on.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import models

from mailboxes.keys import Counts, Unreadable, rotate, tables
from mailboxes.models import AuditEntry


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one object a line, for programs")
        parser.add_argument("--batch", type=int, default=500, help="rows read at once")
        parser.add_argument("--dry-run", action="store_true", help="count only")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch takes 1 or more.")
        everything = Counts()
        for model, names in tables():
            everything.add(self._one(model, names, options))
        if everything.done and not options["dry_run"]:
            detail = f"{everything.done} by command, {everything.unreadable} unreadable"
            AuditEntry.objects.create(action="secrets encrypted anew", detail=detail)
        _refuse_leftovers(everything)

    def _one(self, model: type[models.Model], names: list[str], options: dict[str, Any]) -> Counts:
        label, counts = model._meta.label, Counts()
        for batch in rotate(model, names, options["batch"], write=not options["dry_run"]):
            counts.add(batch.counts)
            for row in batch.unreadable:
                self._name(label, row, as_json=options["json"])
            self.stderr.write(f"{label}: {counts.rows} row{'s' * (counts.rows != 1)}, {counts.done} encrypted anew")
        self.stdout.write(_summary(label, counts, as_json=options["json"]))
        return counts

    def _name(self, label: str, row: Unreadable, *, as_json: bool) -> None:
        found = {"table": label, "id": row.pk, "unreadable_columns": row.columns}
        words = f"{label} {row.pk}: no key opens {', '.join(row.columns)}"
        self.stdout.write(json.dumps(found) if as_json else words)


def _summary(label: str, counts: Counts, *, as_json: bool) -> str:
    if as_json:
        names = ("done", "current", "unreadable", "busy")
        return json.dumps({"table": label} | {name: getattr(counts, name) for name in names})
    said = f"{label}: {counts.done} encrypted anew, {counts.current} already current, {counts.unreadable} unreadable"
    return said + (f", {counts.busy} rows changed too often" if counts.busy else "")


def _refuse_leftovers(counts: Counts) -> None:
    """Exit 1 where an older key is still needed, or one is missing."""
    if counts.unreadable:
        many = "secrets" if counts.unreadable > 1 else "secret"
        raise CommandError(f"{counts.unreadable} {many} cannot be read with any of FERNET_KEYS: see docs/keys.md.")
    if counts.busy:
        raise CommandError(f"{counts.busy} rows changed too often to be written. Run the command again.")
