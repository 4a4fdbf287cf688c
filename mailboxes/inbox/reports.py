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
_QUOTED_MARK = re.compile(
    r"^[> \t]{0,20}x-postmend:[ \t]{0,20}\n?[> \t]{0,20}(<[^<>\s]{1,498}>)[ \t]{0,20}\n?[> \t]{0,20}([\w-]{20,100})",
    re.I | re.M,
)


def blocks(message: Part) -> list[Fields]:
    """The report's groups of fields, first the one about the message; empty where there is no report."""
    return _blocks(message, STATUS_TYPES)


def feedback(message: Part) -> Fields:
    """The fields of a complaint (RFC 5965); empty where it is none."""
    return next(iter(_blocks(message, ("message/feedback-report",))), {})


def _blocks(message: Part, types: tuple[str, ...]) -> list[Fields]:
    reports = (part for part in parts(message) if part.get_content_type() in types)
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
    return next(filter(None, map(_id_of, _returned(message))), "")


def returned_mark(message: Part, text: str) -> str:
    """The signed mark of the message that came back: in what is returned, or quoted in the `text`."""
    return next(filter(None, map(_mark_in, (*_returned(message), text))), "")


def returned_header(message: Part, name: str) -> str:
    """A header of the message that came back, as far as it is returned as a message."""
    messages = (one for one in _returned(message) if not isinstance(one, str))
    return next(filter(None, (header(one, name) for one in messages)), "")


def _returned(message: Part) -> Iterator[Part | str]:
    """What came back: each time as a message, and as the text that it is."""
    for part in parts(message):
        if part.get_content_type() in _RETURNED:
            yield from part.inside
            yield fit(guess(body(part)))


def _id_of(returned: Part | str) -> str:
    return quoted_id(returned) if isinstance(returned, str) else first_id(header(returned, "Message-ID"))


def _mark_in(returned: Part | str) -> str:
    if not isinstance(returned, str):
        return " ".join(header(returned, "X-Postmend").split())
    found = _QUOTED_MARK.search(returned)
    return " ".join(found.groups()) if found else ""


def first_id(value: str) -> str:
    return next(iter(ids(value)), "")


def ids(value: str) -> list[str]:
    """The message ids in a header's value; white space that folding left inside is taken out."""
    return ["".join(found.split()) for found in _ID.findall(value)]


def quoted_id(text: str) -> str:
    """The first Message-ID line in a text that quotes a message."""
    found = _QUOTED_ID.search(text)
    return found.group(1) if found else ""
