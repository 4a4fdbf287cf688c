"""Presets of about 97 providers (`providers.json`; format in its FACTS, B1). Pure data and look-ups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mailboxes.wire.values import Endpoint, Security

_FILE = Path(__file__).with_name("providers.json")

# Presets of one brand answer in the same words and share one way to mend; rules and advice go by the brand.
_FAMILIES = {
    "gmail": "google", "google_workspace": "google", "google_smtp_relay": "google",
    "microsoft365": "microsoft", "outlook_com": "microsoft",
    "zoho_com": "zoho", "zoho_eu": "zoho", "zoho_in": "zoho", "zoho_com_au": "zoho",
    "zoho_jp": "zoho", "zoho_ca": "zoho",
    "ionos_com": "ionos", "ionos_de": "ionos", "gmx_de": "gmx", "gmx_com": "gmx", "aol": "yahoo", "att": "yahoo",
    "qq": "qq", "tencent_exmail": "qq", "netease_163": "netease", "netease_126": "netease", "netease_yeah": "netease",
    "netease_qiye": "netease", "mailgun_us": "mailgun", "mailgun_eu": "mailgun", "mail_ru": "mailru", "web_de": "webde",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preset:
    """What to fill in for a provider. Endpoints are None where there is none or where it differs by account."""

    id: str
    name: str
    smtp: Endpoint | None
    imap: Endpoint | None
    auth: tuple[str, ...]
    app_password_url: str
    full_address_login: bool
    send_only: bool
    notes: tuple[str, ...] = ()
    limit_note: str = ""

    @property
    def family(self) -> str:
        """The brand whose words and ways it shares."""
        return family(self.id)


def family(provider: str) -> str:
    """The brand of a preset id: google, microsoft, hostinger, …; the id itself where it stands alone."""
    return _FAMILIES.get(provider, provider)


def presets_of(brand: str) -> list[str]:
    """Return the preset ids of a brand, as `family` names it."""
    return sorted({preset for preset, one in _FAMILIES.items() if one == brand} | {brand})


def by_id(provider: str) -> Preset | None:
    """The preset with this id."""
    return _presets().get(provider)


def by_address(address: str) -> Preset | None:
    """The preset for the domain of an address, by the domain table; None where the domain is not listed."""
    domain = address.rpartition("@")[2].strip().lower()
    table = _domains()
    if domain in table:
        return _presets()[table[domain]]
    return _presets()["microsoft365"] if domain.endswith(".onmicrosoft.com") else None


def by_mx(exchangers: Sequence[str]) -> Preset | None:
    """The preset for a domain's mail exchangers, the most preferred first: the longest suffix of the first that is
    known wins; None where none is (FACTS B1, B3)."""
    for host in exchangers:
        labels = host.lower().rstrip(".").split(".")
        for at in range(len(labels)):
            if (found := _exchangers().get(".".join(labels[at:]))) is not None:
                return _presets()[found]
    return None


def names() -> list[tuple[str, str]]:
    """Id and name of every preset, by name, for choices."""
    return sorted(((preset.id, preset.name) for preset in _presets().values()), key=lambda pair: pair[1].lower())


@cache
def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return rows


@cache
def _presets() -> dict[str, Preset]:
    return {row["id"]: _preset(row) for row in _rows()}


@cache
def _domains() -> dict[str, str]:
    return {domain: row["id"] for row in _rows() for domain in row["domains"]}


@cache
def _exchangers() -> dict[str, str]:
    return {suffix: row["id"] for row in _rows() for suffix in row["mx_suffixes"]}


def _preset(row: dict[str, Any]) -> Preset:
    return Preset(
        id=row["id"],
        name=row["name"],
        smtp=_endpoint(row.get("smtp")),
        imap=_endpoint(row.get("imap")),
        auth=tuple(row["auth"]),
        app_password_url=row.get("app_password_url") or "",
        full_address_login=row.get("username") == "full_address",
        send_only=bool(row.get("send_only")),
        notes=tuple(row[name] for name in ("imap_enable_note", "note") if row.get(name)),
        limit_note=row.get("limit_note") or "",
    )


def _endpoint(place: dict[str, Any] | None) -> Endpoint | None:
    if not place or not place.get("host") or "{" in place["host"]:
        return None
    return Endpoint(place["host"], int(place["port"]), Security(place["security"]))
