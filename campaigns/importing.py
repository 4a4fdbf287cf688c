"""Leads from a CSV file: first a dry run with a word on every bad row, then the good ones (K1)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max

from campaigns.lacking import OPEN, release
from campaigns.models import Campaign, Lead, Step, Suppression
from campaigns.templating import names
from mailboxes.models.sets import update_rows
from mailboxes.wire.clean import BadText, refuse_path

MOST_BYTES = 5_000_000
MOST_ROWS = 50_000
MOST_FIELDS = 30
COLUMN_CHARS = 100
FIELD_CHARS = 500
LINE_CHARS = 20_000
# A value may hold line breaks. An opening quotation mark without a closing one must not swallow the rest of the file.
RECORD_LINES = 10
OPEN_QUOTE = "A quotation mark is opened here and not closed. Close it, or leave it out."
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"\r\n|\r|\n")


class Unreadable(Exception):
    """The file as a whole cannot be read; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the file: its first line's number there and how many lines it takes up, what it holds, and what is
    wrong with it; "" where nothing is. `corrects` is true where it fills in what a held lead lacks."""

    line: int
    email: str
    fields: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    lines: int = 1
    corrects: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read: good rows and bad ones. Every line below the header is in one of the two."""

    good: tuple[Row, ...]
    bad: tuple[Row, ...]

    @property
    def bad_lines(self) -> int:
        """How many lines cannot be imported."""
        return sum(row.lines for row in self.bad)

    @property
    def lines(self) -> int:
        """How many lines the file has below its header."""
        return sum(row.lines for row in self.good) + self.bad_lines


def read(data: bytes, campaign: Campaign) -> Read:
    """What the file would add; nothing is stored. Raises Unreadable."""
    rows = list(_rows(_text(data)))
    known = {email.lower() for email in campaign.leads.values_list("email", flat=True)}
    held = set(campaign.leads.exclude(lacks="").filter(state__in=OPEN).values_list("email", flat=True))
    unwanted = set(Suppression.objects.filter(workspace=campaign.workspace).values_list("email", flat=True))
    wanted = {name for step in Step.objects.filter(campaign=campaign) for name in names(step.subject + step.body)} - {
        "email"
    }
    good: list[Row] = []
    bad: list[Row] = []
    for row in rows:
        corrects = row.email in held
        fault = row.fault or _fault(row, row.email in known and not corrects, row.email in unwanted, wanted)
        (bad if fault else good).append(replace(row, fault=fault, corrects=corrects))
        held.discard("" if fault else row.email)
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
        for at, row in enumerate((row for row in found.good if not row.corrects), 1)
    ]
    Lead.objects.bulk_create(leads, batch_size=1000)
    _correct(campaign, {row.email: row.fields for row in found.good if row.corrects}, now)
    return found


def _correct(campaign: Campaign, fields: Mapping[str, Mapping[str, str]], now: datetime) -> None:
    """Fill in what held leads lack; they go on."""
    rows = campaign.leads.select_for_update(of=("self",)).exclude(lacks="").filter(state__in=OPEN, email__in=fields)
    found = rows.order_by("id").values_list("id", "email", "fields")
    update_rows(Lead, [{"pk": key, "fields": own | fields[email]} for key, email, own in found])
    release(campaign, now)


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
    """Each record of the file. Linear: no line is looked at more than RECORD_LINES times. Raises Unreadable."""
    header, *lines = _LINE_END.split(text)
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > MOST_ROWS:
        raise Unreadable(f"The file has more than {MOST_ROWS:,} lines: split it.")
    separator = max(",;\t", key=header.count)
    columns = _columns(header, separator)
    at = 0
    while at < len(lines):
        row = _record(lines[at : at + RECORD_LINES], at + 2, columns, separator)
        yield row
        at += row.lines


def _columns(header: str, separator: str) -> list[str]:
    try:
        found = _values(header, separator)
    except csv.Error:
        raise Unreadable(f"Line 1 cannot be read as CSV. {OPEN_QUOTE}") from None
    columns = [name.strip().lower().replace(" ", "_") for name in found]
    if "email" not in columns:
        raise Unreadable("The file has no column “email”: its first line must name the columns.")
    if len(columns) > MOST_FIELDS or len(set(columns)) < len(columns):
        raise Unreadable(f"The file has the same column twice, or more than {MOST_FIELDS}.")
    if any(len(name) > COLUMN_CHARS for name in columns):
        raise Unreadable(f"A column's name is longer than {COLUMN_CHARS} characters: shorten it.")
    return columns


def _record(lines: Sequence[str], number: int, columns: Sequence[str], separator: str) -> Row:
    """The record that begins with the first of these lines. One over several lines counts only where it is whole: else
    the first line alone is wrong, and the next one is read for itself."""
    if not lines[0].strip():
        return Row(number, "", fault="The line is empty.")
    for taken in range(1, len(lines) + 1):
        text = "\n".join(lines[:taken])
        if len(text) > LINE_CHARS:
            break
        try:
            row = _row(number, _values(text, separator), columns, taken)
        except csv.Error:
            continue
        return row if taken == 1 or _is_whole(row) else Row(number, "", fault=OPEN_QUOTE)
    too_long = len(lines[0]) > LINE_CHARS
    return Row(number, "", fault=f"The line is longer than {LINE_CHARS:,} characters." if too_long else OPEN_QUOTE)


def _values(text: str, separator: str) -> list[str]:
    """The values of one record. Raises csv.Error where a quotation mark is not closed, or closed within a value."""
    return next(csv.reader([text], delimiter=separator, strict=True), [])


def _row(line: int, values: Sequence[str], columns: Sequence[str], lines: int) -> Row:
    found = {name: " ".join(value.split()) for name, value in zip(columns, values, strict=False)}
    email = found.pop("email", "").lower()
    fields = {name: value for name, value in found.items() if name and value}
    return Row(line, email, fields, _value_fault(fields, len(values) > len(columns)), lines)


def _value_fault(fields: Mapping[str, str], has_more: bool) -> str:
    if has_more:
        return "It has more values than columns."
    long = next((name for name, value in fields.items() if len(value) > FIELD_CHARS), None)
    if long is not None:
        return f"“{long}” is longer than {FIELD_CHARS} characters: shorten it."
    strange = next((name for name, value in fields.items() if _CONTROL.search(value)), None)
    return f"“{strange}” holds a character that cannot be shown: type it anew." if strange is not None else ""


def _is_whole(row: Row) -> bool:
    return not row.fault and not _address_fault(row.email)


def _address_fault(email: str) -> str:
    if not email:
        return "The email address is missing."
    if not email.isascii() or len(email) > 254:
        return "Only addresses of ASCII letters, up to 254 of them, can be written to."
    try:
        validate_email(email)
        refuse_path(email, "email")
    except (ValidationError, BadText):
        return "This is no email address."
    return ""


def _fault(row: Row, is_known: bool, is_unwanted: bool, wanted: set[str]) -> str:
    if fault := _address_fault(row.email):
        return fault
    if is_unwanted:
        return "This address is on the suppression list."
    if is_known:
        return "This address is in the campaign already, or twice in the file."
    lacking = sorted(wanted - row.fields.keys())
    return f"A step needs {', '.join(lacking)}: fill it in, or give a fallback in the step." if lacking else ""
