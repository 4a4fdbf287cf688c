"""Leads from a CSV file: first a dry run with a word on every bad row, then the good ones (K1)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max

from campaigns.models import Campaign, Lead, Step, Suppression
from campaigns.templating import names
from mailboxes.wire.clean import BadText, refuse_path

MOST_BYTES = 5_000_000
MOST_ROWS = 50_000
MOST_FIELDS = 30
FIELD_CHARS = 500


class Unreadable(Exception):
    """The file as a whole cannot be read; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file: its number there, what it holds, and what is wrong with it; "" where nothing is."""

    line: int
    email: str
    fields: dict[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read: good rows and bad ones."""

    good: tuple[Row, ...]
    bad: tuple[Row, ...]


def read(data: bytes, campaign: Campaign) -> Read:
    """What the file would add; nothing is stored. Raises Unreadable."""
    rows = list(_rows(_text(data)))
    known = {email.lower() for email in campaign.leads.values_list("email", flat=True)}
    unwanted = set(Suppression.objects.filter(workspace=campaign.workspace).values_list("email", flat=True))
    wanted = {name for step in Step.objects.filter(campaign=campaign) for name in names(step.subject + step.body)}
    good: list[Row] = []
    bad: list[Row] = []
    for row in rows:
        fault = row.fault or _fault(row, known, unwanted, wanted - {"email"})
        (bad if fault else good).append(Row(row.line, row.email, row.fields, fault))
        known.add(row.email)
    return Read(tuple(good), tuple(bad))


@transaction.atomic
def keep(data: bytes, campaign: Campaign, now: datetime) -> Read:
    """Store the good rows. Raises Unreadable."""
    Campaign.objects.select_for_update().get(pk=campaign.pk)  # two imports at once would take the same places
    found = read(data, campaign)
    last = campaign.leads.aggregate(last=Max("place"))["last"] or 0
    leads = [
        Lead(campaign=campaign, email=row.email, fields=row.fields, place=last + at, due_at=now)
        for at, row in enumerate(found.good, 1)
    ]
    Lead.objects.bulk_create(leads, batch_size=1000)
    return found


def _text(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise Unreadable(f"The file is larger than {MOST_BYTES // 1_000_000} MB: split it.")
    if b"\0" in data:
        raise Unreadable("The file is not in UTF-8: save it again as “CSV UTF-8”.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("The file is not in UTF-8: save it again as “CSV UTF-8”.") from None


def _rows(text: str) -> Iterator[Row]:
    header, _, _ = text.partition("\n")
    separator = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    columns = [name.strip().lower().replace(" ", "_") for name in reader.fieldnames or []]
    if "email" not in columns:
        raise Unreadable("The file has no column “email”: its first line must name the columns.")
    if len(columns) > MOST_FIELDS or len(set(columns)) < len(columns):
        raise Unreadable(f"The file has the same column twice, or more than {MOST_FIELDS}.")
    reader.fieldnames = columns
    try:
        for row in reader:
            if reader.line_num > MOST_ROWS:
                raise Unreadable(f"The file has more than {MOST_ROWS} lines: split it.")
            yield _row(reader.line_num, row)
    except csv.Error as error:
        raise Unreadable(f"Line {reader.line_num} cannot be read as CSV: {error}.") from None


def _row(line: int, row: dict[str, str | None]) -> Row:
    fields = {name: " ".join((value or "").split())[:FIELD_CHARS] for name, value in row.items() if name}
    email = fields.pop("email", "").lower()
    surplus = "It has more values than columns." if None in row else ""
    return Row(line, email, {name: value for name, value in fields.items() if value}, surplus)


def _fault(row: Row, known: set[str], unwanted: set[str], wanted: set[str]) -> str:
    if not row.email:
        return "The email address is missing."
    if not row.email.isascii() or len(row.email) > 254:
        return "Only addresses of ASCII letters, up to 254 of them, can be written to."
    try:
        validate_email(row.email)
        refuse_path(row.email, "email")
    except (ValidationError, BadText):
        return "This is no email address."
    if row.email in unwanted:
        return "This address is on the suppression list."
    if row.email in known:
        return "This address is in the campaign already, or twice in the file."
    lacking = sorted(wanted - row.fields.keys())
    return f"A step needs {', '.join(lacking)}: fill it in, or give a fallback in the step." if lacking else ""
