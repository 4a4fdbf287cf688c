"""A leg's memory to and from its column: short keys, times as ISO text, empty parts left out."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from mailboxes.diagnosis.categories import Category, Course
from mailboxes.health.policy import LegState

_TIMES = frozenset(
    {"last_ok", "open_since", "last_failure", "unsure_since", "refused_since", "refused_last", "flagged_at"}
)


def pack(state: LegState) -> dict[str, Any]:
    """The column's value."""
    values = {field.name: getattr(state, field.name) for field in fields(LegState)}
    return {name: value.isoformat() if name in _TIMES else value for name, value in values.items() if value}


def unpack(column: dict[str, Any]) -> LegState:
    """The leg's memory; an empty column is a leg never seen."""
    values = dict(column)
    if values.get("course") == Course.REFUSAL and "refused_last" not in values:
        # Stored when a refusal flagged at first sight: it is as certain as it was then.
        values |= {"flagged_at": values.get("last_failure"), "refused": 1}
    for name in _TIMES & values.keys():
        values[name] = datetime.fromisoformat(values[name])
    if "category" in values:
        values["category"], values["course"] = Category(values["category"]), Course(values["course"])
    return LegState(**values)
