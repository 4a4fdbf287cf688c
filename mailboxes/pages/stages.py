"""The stages of a check or test as a page shows them: passed, failed, or still to come (SPEC C5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailboxes.wire.values import Leg, Stage

_SENDING = (Stage.MAIL.value, Stage.RCPT.value, Stage.DATA.value)
_LABELS = {
    Leg.SMTP: {
        "dns": "Server name resolves", "connect": "Port answers", "tls": "Encryption (TLS) holds",
        "greeting": "Server greets", "auth": "Login accepted", "send": "Test message accepted",
    },
    Leg.IMAP: {
        "dns": "Server name resolves", "connect": "Port answers", "tls": "Encryption (TLS) holds",
        "greeting": "Server greets", "auth": "Login accepted", "select": "Folder opens",
        "read": "Inbox readable, test message arrives",
    },
    Leg.OAUTH: {"token": "Access granted"},
}  # fmt: skip
_NAMES = {Leg.SMTP: "Sending (SMTP)", Leg.IMAP: "Reading (IMAP)", Leg.OAUTH: "Sign-in"}


@dataclass(frozen=True, slots=True)
class StageShown:
    """One line. `state` is passed, failed or open."""

    label: str
    state: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class LegShown:
    """One leg's lines."""

    name: str
    stages: Sequence[StageShown]


def legs_shown(legs: Iterable[Mapping[str, Any]], expected: Iterable[Leg] = ()) -> list[LegShown]:
    """The legs that were tried, and with `expected` those that are to come. A stage never come to is open."""
    tried = {Leg(leg["leg"]): leg["steps"] for leg in legs}
    order = [leg for leg in Leg if leg in tried or leg in set(expected)]
    return [LegShown(_NAMES[leg], _lines(leg, tried.get(leg, ()), whole=bool(expected))) for leg in order]


def _lines(leg: Leg, steps: Sequence[Mapping[str, Any]], *, whole: bool) -> list[StageShown]:
    seen: dict[str, Mapping[str, Any]] = {}
    for step in steps:
        name = "send" if step["stage"] in _SENDING else step["stage"]
        if name not in seen or seen[name]["ok"]:
            seen[name] = step
    labels = _LABELS[leg] if whole else {name: _LABELS[leg].get(name, name) for name in seen}
    return [_line(label, seen.get(name)) for name, label in labels.items()]


def _line(label: str, step: Mapping[str, Any] | None) -> StageShown:
    if step is None:
        return StageShown(label, "open")
    return StageShown(label, "passed") if step["ok"] else StageShown(label, "failed", step["text"])
