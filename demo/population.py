"""Who lives in the demo: three workspaces, one mailbox at least for every fault, and many healthy ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from mailboxes.sandbox.faults import NO_FAULT, Fault, faults
from mailboxes.wire.values import Security

WORKSPACES = ("Northwind Outreach", "Bluebird Agency", "Kestrel Labs")
DOMAINS = ("northwind.test", "bluebird.test", "kestrel.test")
HEALTHY = 28
TENANT_FAULT, TENANT_PLACE, TENANT_MAILBOXES = "tenant-smtp-off", 0, 3
_NAMES = (
    "anna ben clara david emma felix greta henry ida jonas kira leo mia noah olga paul quinn rosa sam tina ugo vera"
    " wim xenia yara zoe arne bella carl dora emil fanny georg hanna igor julia kurt lena max nora otto petra ralf"
    " sofia theo ulla viktor wanda yann zita alba boris cleo dario elsa finn gesa hugo iris jan kai lia"
).split()
_HEALTHY_PROVIDERS = ("gmail", "microsoft365", "hostinger", "ionos_de", "zoho_com", "fastmail", "ovh", "")
_OAUTH_PROVIDERS = frozenset({"microsoft365"})


@dataclass(frozen=True, slots=True)
class Resident:
    """One mailbox of the demo."""

    address: str
    workspace: str
    provider: str
    security: Security
    oauth: bool
    fault: Fault


def residents() -> list[Resident]:
    """Everybody, always the same."""
    names, places = iter(_NAMES), cycle(range(len(WORKSPACES)))
    return [_resident(next(names), provider, fault, next(places)) for provider, fault in _kinds()]


def _resident(name: str, provider: str, fault: Fault, place: int) -> Resident:
    place = TENANT_PLACE if fault.id == TENANT_FAULT else place
    return Resident(
        address=f"{name}@{DOMAINS[place]}",
        workspace=WORKSPACES[place],
        provider=provider,
        security=Security.STARTTLS if "starttls" in fault.needs else Security.SSL,
        oauth="oauth" in fault.needs or (fault is NO_FAULT and provider in _OAUTH_PROVIDERS),
        fault=fault,
    )


def _kinds() -> Iterator[tuple[str, Fault]]:
    for fault in faults().values():
        # One administrator's setting breaks several mailboxes at once.
        for _time in range(TENANT_MAILBOXES if fault.id == TENANT_FAULT else 1):
            yield fault.provider, fault
    for _number, provider in zip(range(HEALTHY), cycle(_HEALTHY_PROVIDERS), strict=False):
        yield provider, NO_FAULT
