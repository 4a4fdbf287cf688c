"""Read a server's reply: `diagnose "TEXT"` for a person, `diagnose --jsonl FILE|-` for a program."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailboxes.diagnosis.advice import Place, advise, course_in_words
from mailboxes.diagnosis.values import Reply
from mailboxes.health.rules import diagnose
from mailboxes.providers.presets import by_id, family

FIELDS = ("leg", "stage", "provider", "code")


class Command(BaseCommand):
    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("text", nargs="?", help="the server's words")
        parser.add_argument("--jsonl", metavar="FILE", help="one JSON object a line; - for standard input")
        for field in FIELDS:
            parser.add_argument(f"--{field}", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["jsonl"]:
            self._answer_lines(options["jsonl"])
        elif options["text"]:
            self._answer_person(options)
        else:
            raise CommandError('Give the reply as TEXT, or --jsonl FILE. As in: diagnose "535 5.7.8 bad password"')

    def _answer_lines(self, name: str) -> None:
        lines: Iterable[str] = sys.stdin if name == "-" else _lines(Path(name))
        for number, line in enumerate(lines, 1):
            if line.strip():
                self.stdout.write(json.dumps(_answer(line, number)))

    def _answer_person(self, options: dict[str, Any]) -> None:
        provider = options["provider"]
        preset = by_id(provider)
        reply = Reply(options["text"], options["leg"], options["stage"], family(provider), options["code"])
        found = diagnose(reply)
        name = preset.name if preset else provider.capitalize()
        advice = advise(found.category, Place("the mailbox", name, family(provider)), found.variant)
        self.stdout.write(f"{found.category}  (rule {found.rule})")
        self.stdout.write(f"Who must act: {found.actor}; {course_in_words(found)}.")
        self.stdout.write(f"\n{advice.happened}\nAction: {advice.action}")
        for number, step in enumerate(advice.steps, 1):
            self.stdout.write(f"  {number}. {step}")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: cannot be read ({type(error).__name__})") from None


def _answer(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
        text = row["text"]
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"line {number}: not a JSON object with a `text`") from None
    if not isinstance(text, str):
        raise CommandError(f"line {number}: `text` must be a string")
    known = {field: str(row.get(field) or "") for field in FIELDS}
    known["provider"] = family(known["provider"])
    found = diagnose(Reply(text=text, **known))
    return {
        "id": row.get("id"),
        "category": found.category,
        "rule": found.rule,
        "actor": found.actor,
        "needs_reconnect": found.needs_reconnect,
        "transient": found.transient,
    }
