"""What a mail domain's own records say: who handles its mail, and whether it is still there at all (C3, H15). Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from mailboxes.providers.presets import by_mx, family

_FILE = Path(__file__).with_name("domains.toml")


class Sign(StrEnum):
    """What stands out about a domain. All but FINE and UNKNOWN explain a broken mailbox without its password."""

    FINE = "fine"
    UNKNOWN = "unknown"  # nobody could be asked
    GONE = "gone"  # NXDOMAIN
    EXPIRED = "expired"
    HELD = "held"
    PARKED = "parked"
    NO_MAIL = "no_mail"  # it says so itself: a null MX (RFC 7505)
    NO_ADDRESS = "no_address"  # neither MX nor A: nothing can be delivered (RFC 5321 5.1)
    NO_MX = "no_mx"  # an address alone: what is left when somebody deletes the records


@dataclass(frozen=True, slots=True)
class Records:
    """A domain's answers; None where nobody answered. Mail exchangers by preference, names in lower case."""

    exists: bool | None
    exchangers: Sequence[str] | None = None
    name_servers: Sequence[str] | None = None
    has_address: bool | None = None


def read(records: Records) -> Sign:
    """The sign that stands out most."""
    if records.exists is None:
        return Sign.UNKNOWN
    if not records.exists:
        return Sign.GONE
    traces = [*(records.name_servers or ()), *(records.exchangers or ())]
    found = (sign for sign in (Sign.EXPIRED, Sign.HELD, Sign.PARKED) if _any_below(traces, _table()[sign.value]))
    return next(found, None) or _of_exchangers(records)


def _of_exchangers(records: Records) -> Sign:
    if records.exchangers is None:
        return Sign.UNKNOWN
    if list(records.exchangers) in ([""], ["."]):
        return Sign.NO_MAIL
    if records.exchangers:
        return Sign.FINE
    return {True: Sign.NO_MX, False: Sign.NO_ADDRESS, None: Sign.UNKNOWN}[records.has_address]


def explain(sign: Sign, domain: str, exchangers: Sequence[str], provider: str) -> str:
    """One sentence for people about this domain and a mailbox at this provider; "" where nothing stands out."""
    if sign in _SENTENCES:
        return _SENTENCES[sign].format(domain=domain)
    handled = by_mx(exchangers)
    if handled is not None and provider and family(provider) != handled.family:
        return (
            f"The mail of {domain} is handled by {handled.name} by now; these settings are for another provider. "
            "It may have moved."
        )
    filtering = filter_of(exchangers)
    if filtering and not provider:
        return f"A filter ({filtering}) stands before {domain} and hides its provider: ask “Google or Microsoft?”."
    return f"The mail of {domain} is handled by {handled.name}." if handled is not None and not provider else ""


def filter_of(exchangers: Iterable[str]) -> str:
    """The name of the filter that the mail exchangers belong to; "" for none."""
    filters: Mapping[str, str] = _table()["filters"]
    return next((name for host in exchangers for suffix, name in filters.items() if _below(host, suffix)), "")


_SENTENCES = {
    Sign.GONE: "The domain {domain} does not exist any more (NXDOMAIN): its registration may have run out.",
    Sign.EXPIRED: "The registration of {domain} has run out: its name servers are a registrar's for such.",
    Sign.HELD: "The registrar holds {domain} back until its owner confirms the contact details.",
    Sign.PARKED: "The domain {domain} is parked or for sale: no mail is handled there.",
    Sign.NO_MAIL: "The domain {domain} says itself that it takes no mail (a null MX record).",
    Sign.NO_ADDRESS: "The domain {domain} has neither MX nor address: nothing can be delivered to it.",
    Sign.NO_MX: "The domain {domain} has no mail exchanger (MX) any more: somebody may have removed its records.",
}


def _any_below(hosts: Iterable[str], suffixes: Iterable[str]) -> bool:
    return any(_below(host, suffix) for host in hosts for suffix in suffixes)


def _below(host: str, suffix: str) -> bool:
    return host == suffix or host.endswith("." + suffix)


@cache
def _table() -> dict[str, Any]:
    with _FILE.open("rb") as file:
        return tomllib.load(file)
