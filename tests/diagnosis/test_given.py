"""Labelled real replies, in full; and a larger set from the field, by rate (SPEC D1, D2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Diagnosis, Reply

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def diagnose(row: dict[str, Any], *, without: tuple[str, ...] = ()) -> Diagnosis:
    known = {key: "" if key in without else row[key] or "" for key in ("leg", "stage", "provider", "code")}
    return engine().diagnose(Reply(text=row["text"], **known))


@pytest.mark.parametrize("row", rows("given.jsonl"), ids=lambda row: row["id"])
def test_d1_a_given_reply_is_diagnosed_as_labelled(row: dict[str, Any]) -> None:
    found = diagnose(row)
    assert (found.category, found.needs_reconnect, found.transient) == (
        row["category"], row["needs_reconnect"], row["transient"],
    )  # fmt: skip


def rates(without: tuple[str, ...] = ()) -> tuple[float, float, int]:
    field = rows("field.jsonl")
    found = [(diagnose(row, without=without), row) for row in field]
    categories = sum(answer.category == row["category"] for answer, row in found) / len(field)
    reconnects = sum(answer.needs_reconnect == row["needs_reconnect"] for answer, row in found) / len(field)
    flagged_in_passing = sum(answer.needs_reconnect and row["transient"] for answer, row in found)
    return categories, reconnects, flagged_in_passing


def test_d1_replies_from_the_field_are_diagnosed() -> None:
    categories, reconnects, flagged_in_passing = rates()
    assert categories >= 0.96
    assert reconnects >= 0.98
    assert flagged_in_passing <= 1


def test_d2_the_text_alone_is_enough_for_most() -> None:
    categories, reconnects, flagged_in_passing = rates(without=("leg", "stage", "provider", "code"))
    assert categories >= 0.87
    assert reconnects >= 0.95
    assert flagged_in_passing <= 1
