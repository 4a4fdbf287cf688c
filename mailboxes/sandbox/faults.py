"""The faults of faults.toml as values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LegFault:
    """How one server misbehaves; "" is the normal way."""

    connect: str = ""
    certificate: str = ""
    greeting: str = ""
    auth: str = ""
    challenge: str = ""
    mail: str = ""
    data: str = ""
    select: str = ""
    no_starttls: bool = False


@dataclass(frozen=True, slots=True)
class TokenFault:
    """What the token endpoint answers."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, for whom it fits, and where it must lead."""

    id: str
    what: str
    provider: str = ""
    needs: tuple[str, ...] = ()
    message: bool = False
    smtp: LegFault = LegFault()
    imap: LegFault = LegFault()
    token: TokenFault | None = None
    dns: str = ""
    expect: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_of_the_secret(self) -> bool:
        """True where a new password or consent ends it."""
        return self.expect.get("category") in _OF_THE_SECRET


_OF_THE_SECRET = frozenset({"auth_failed", "app_password_required", "oauth_revoked"})
NO_FAULT = Fault("", "Works", expect={"status": "connected", "category": "", "pause_reason": ""})


@cache
def faults() -> dict[str, Fault]:
    """Every fault by id, in the file's order."""
    with Path(__file__).with_name("faults.toml").open("rb") as file:
        return {row["id"]: _fault(row) for row in tomllib.load(file)["fault"]}


def _fault(row: dict[str, Any]) -> Fault:
    parts: dict[str, Any] = dict(row)
    parts["needs"] = tuple(row.get("needs", ()))
    for leg in ("smtp", "imap"):
        parts[leg] = LegFault(**row.get(leg, {}))
    if "token" in row:
        parts["token"] = TokenFault(**row["token"])
    return Fault(**parts)
