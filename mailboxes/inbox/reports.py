"""Delivery reports in the standard form (RFC 3464, RFC 6533): the fields about one recipient, and the message meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailboxes.inbox.decoding import fit, guess
from mailboxes.inbox.parts import Part, body, header, parts

Fields = dict[str, str]
STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_RETURNED = (
    "message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers",
)  # fmt: skip
_MOST_FIELDS = 50
_MOST_LINES = 2000
_ID = re.compile(r"<[^<>]{1,498}>")
_QUOTED_ID = re.compile(r"^[> \t]{0,20}message-id:[ \t]{0,20}\n?[> \t]{0,20}(<[^<>\s]{1,498}>)", re.I | re.M)


def blocks(message: Part) -> list[Fields]:
    """The report's groups of fields, first the one about the message; empty where there is no report."""
    reports = (part for part in parts(message) if part.get_content_type() in STATUS_TYPES)
    return [fields for report in reports for fields in _groups(report) if fields]


def _groups(report: Part) -> Iterator[Fields]:
    encoding = header(report, "Content-Transfer-Encoding")
    for group in report.inside or [report]:
        if group is not report:
            yield {name.lower(): header(group, name) for name in group.keys()[:_MOST_FIELDS]}
        yield from _written(fit(guess(body(group, encoding))))


def _written(text: str) -> list[Fields]:
    """Groups of "Name: value" lines with empty lines between."""
    found: list[Fields] = [{}]
    name = ""
    for line in text.splitlines()[:_MOST_LINES]:
        if not line.strip():
            found.append({})
        elif line[0] in " \t" and name in found[-1]:
            found[-1][name] += " " + line.strip()
        elif ":" in line:
            name = line.partition(":")[0].strip().lower()
            found[-1].setdefault(name, line.partition(":")[2].strip())
    return found


def returned_id(message: Part) -> str:
    """The Message-ID of the message that came back, of which a report holds all or only the headers."""
    for part in parts(message):
        if part.get_content_type() in _RETURNED:
            for inside in part.inside:
                if found := first_id(header(inside, "Message-ID")):
                    return found
            if found := quoted_id(fit(guess(body(part)))):
                return found
    return ""


def first_id(value: str) -> str:
    return next(iter(ids(value)), "")


def ids(value: str) -> list[str]:
    """The message ids in a header's value; white space that folding left inside is taken out."""
    return ["".join(found.split()) for found in _ID.findall(value)]


def quoted_id(text: str) -> str:
    """The first Message-ID line in a text that quotes a message."""
    found = _QUOTED_ID.search(text)
    return found.group(1) if found else ""
