"""An error report shows the trace and no variable (SPEC S1)."""

from __future__ import annotations

import sys

from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from tests.make import secret
from tests.secrets import leaks


def fail() -> None:
    password = secret()
    raise ValueError(f"{len(password)} characters")


def test_s1_an_error_report_shows_no_variable() -> None:
    try:
        fail()
    except ValueError:
        report = ExceptionReporter(RequestFactory().post("/", {"new_password": secret()}), *sys.exc_info())
    text = report.get_traceback_text() + report.get_traceback_html()
    assert "ValueError" in text and "in fail" in text
    assert leaks(text) == []
