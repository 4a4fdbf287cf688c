"""No expression of ours takes worse than linear time on a stranger's text (SRV-1)."""

from __future__ import annotations

import re
import time

import pytest

from tests import growth

# Their expressions are asked for by `growth.expressions`.
BUILDERS = {"_any_of", "_search", "parameter", "delimiter", "before"}


def test_srv1_no_expression_grows_worse_than_its_text() -> None:
    began = time.process_time()
    slow = [
        f"{name} {method}: {make(30)!r}"
        for name, pattern, method in growth.expressions()
        if (make := growth.slow_text(pattern, method)) is not None
    ]
    assert slow == []
    assert time.process_time() - began < 15


def test_srv1_every_expression_is_found() -> None:
    names = {name for name, _pattern, _method in growth.expressions()}
    assert {"mailboxes.wire.imap._LISTED", "mailboxes.diagnosis.signals._SMTP_FORMS"} <= names
    assert len(names) > 100
    assert growth.built_in_functions(BUILDERS) == []


@pytest.mark.parametrize(
    ("expression", "method"),
    [
        (r"\d+\}$", "search"),
        (r"(a+)+$", "match"),
        (r"(?m)^\s*([245]\d\d) ", "search"),
        (r"\[([A-Z]{3,})(?:\s[^\]]*)?\]", "search"),
        (r"&([^-]*)-", "sub"),
        (r"=\?(.*?)\?=", "finditer"),
        (r"<[^>]+>", "findall"),
        (r"x.*y", "search"),
        (r"(?:\w+\.)+$", "search"),
    ],
)
def test_srv1_slow_expressions_are_caught(expression: str, method: str) -> None:
    pattern = re.compile(expression)
    assert growth.slow_text(pattern, method) is not None


@pytest.mark.parametrize(
    ("expression", "method"), [(r"<[^<>]+>", "findall"), (r"\{\d{1,30}\}", "search"), (r"\s+$", "match")]
)
def test_srv1_linear_ones_pass(expression: str, method: str) -> None:
    pattern = re.compile(expression)
    assert growth.slow_text(pattern, method) is None
