"""The search for secrets. Every secret that a test makes holds MARK, so one search finds them all, however spelled."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable

from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django_q.models import OrmQ

MARK = "PmSecretXyz"


def spellings(mark: str = MARK) -> list[str]:
    """Raw and URL-encoded (alike for letters), and base64 at each of the three alignments, as inside AUTH PLAIN."""
    found = [mark]
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + mark.encode()).decode().rstrip("=")
        found.append(coded[shift + 1 : -2])
    return found


def leaks(text: str) -> list[str]:
    """The spellings that stand in the text, each with what surrounds it."""
    return [text[max(0, at - 60) : at + 60] for mark in spellings() if (at := text.find(mark)) >= 0]


def leaks_in_database() -> list[str]:
    """Leaks in any column of any table, read as the database keeps them."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            if not model._meta.managed:
                continue
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608  # a table of ours
            for row in cursor.fetchall():
                text = "\n".join(_text(value) for value in row)
                found += [f"{model._meta.db_table}: {leak}" for leak in leaks(text)]
    return found + leaks(_packed())


def _packed() -> str:
    """What stands packed in its row: sessions, and the arguments of queued tasks."""
    sessions = [str(session.get_decoded()) for session in Session.objects.all()]
    return "\n".join([*sessions, *(str(row.task()) for row in OrmQ.objects.all())])


def _text(value: object) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


class LogKeeper(logging.Handler):
    """Keeps every log line of the process."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter("%(name)s %(message)s %(exc_text)s").format(record))

    def leaks(self) -> list[str]:
        """Leaks in what was logged."""
        return [leak for line in self.lines for leak in leaks(line)]


class NoSecretInPages:
    """Middleware of the tests: no answer of ours holds a secret, neither in its body nor in a header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        body = "" if response.streaming else response.content.decode("utf-8", "replace")
        found = leaks(body) + leaks(str(dict(response.items()))) + leaks(request.get_full_path())
        assert found == [], found
        return response
