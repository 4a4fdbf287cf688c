"""A cause in words: what happened, the one action, numbered steps, the status page (SPEC D3, R1). Pure; no HTML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from mailboxes.diagnosis.categories import MATRIX, Category, Course
from mailboxes.diagnosis.values import Diagnosis


class Action(StrEnum):
    """The one thing to press."""

    UPDATE_CREDENTIALS = "Update credentials"
    RECONNECT_GOOGLE = "Reconnect with Google"
    RECONNECT_MICROSOFT = "Reconnect with Microsoft"
    CHECK_AGAIN = "Check again"
    CHECK_SETTINGS = "Check settings"
    WAIT = "Nothing to do"


@dataclass(frozen=True, slots=True)
class Place:
    """For whom the advice is: names to fill in, and what the action depends on."""

    address: str
    provider_name: str = ""
    family: str = ""
    host: str = ""
    oauth: bool = False


@dataclass(frozen=True, slots=True)
class Advice:
    """What to read to the customer."""

    happened: str
    action: Action
    steps: tuple[str, ...]
    status_page: str


def advise(category: Category, place: Place, variant: str = "") -> Advice:
    """The advice for a cause at this provider, with this kind of credential. The most special words win."""
    table = _texts()[category.value]
    brand = "oauth" if place.oauth else place.family
    special = table.get(brand, {}) | table.get(variant, {}) | table.get(f"{variant}_{place.family}", {})
    words = {
        "provider": place.provider_name or "The mail server",
        "address": place.address,
        "host": place.host or "the mail server",
    }
    return Advice(
        happened=special.get("happened", table["happened"]).format(**words),
        action=action(category, place),
        steps=tuple(step.format(**words) for step in special.get("steps", table["steps"])),
        status_page=status_page(place.family),
    )


def status_page(brand: str) -> str:
    """Return the address of a provider's status page; "" where none is known."""
    return str(_texts()["status_pages"].get(brand, ""))


def action(category: Category, place: Place) -> Action:
    """R1: the action follows the provider and the credential, not the fault alone."""
    traits = MATRIX[category]
    if category is Category.TENANT_SMTP_DISABLED or traits.cured_elsewhere:
        return Action.CHECK_AGAIN
    if traits.course is Course.SETTINGS:
        return Action.CHECK_SETTINGS
    if not traits.needs_reconnect and category is not Category.UNKNOWN:
        return Action.WAIT
    if place.oauth and place.family in ("google", "microsoft"):
        return Action.RECONNECT_GOOGLE if place.family == "google" else Action.RECONNECT_MICROSOFT
    if category is Category.BASIC_AUTH_DISABLED and place.family == "microsoft":
        return Action.RECONNECT_MICROSOFT
    return Action.UPDATE_CREDENTIALS


def course_in_words(diagnosis: Diagnosis) -> str:
    """Whether it needs a reconnect, and whether it passes by itself."""
    reconnect = "needs a reconnect" if diagnosis.needs_reconnect else "needs no reconnect"
    return f"{reconnect}; {'passes by itself' if diagnosis.transient else 'does not pass by itself'}"


@cache
def _texts() -> dict[str, Any]:
    with Path(__file__).with_name("advice.toml").open("rb") as file:
        return tomllib.load(file)
