"""Limits agree with the presets that they come from (SPEC H13)."""

from __future__ import annotations

import json
from importlib.resources import files

from mailboxes.providers.limits import Window, limits_of, table
from mailboxes.providers.presets import by_id

LARGER_PLANS = {"hostinger"}  # the preset's number is the smallest plan's, ours the largest's


def test_h13_every_daily_number_of_a_preset_is_a_limit() -> None:
    rows = json.loads((files("mailboxes.providers") / "providers.json").read_text(encoding="utf-8"))
    numbers = {row["id"]: row["daily_send_limit"] for row in rows if row["daily_send_limit"]}
    found = {key: (limits_of(key).messages_day, limits_of(key).recipients_day) for key in numbers}
    assert [key for key in numbers if numbers[key] not in found[key] and key not in LARGER_PLANS] == []


def test_h13_limits_are_of_presets_that_exist_and_positive() -> None:
    for provider, limits in table().items():
        assert by_id(provider) is not None
        numbers = [limits.of(what, window) for what in ("messages", "recipients") for window in Window]
        assert all(number is None or number > 0 for number in [*numbers, limits.recipients_message])
