"""The simulated mailboxes, and what their servers answer. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailboxes.health.decide import Snapshot
from mailboxes.health.policy import LegState, Standing
from mailboxes.states import CredentialKind, Status
from mailboxes.wire.values import Leg, Stage, Step

START = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
# A workspace has ten mailboxes at a provider, a mail domain five.
OF_A_WORKSPACE = 10
OF_A_DOMAIN = 5
LEAST_WORKSPACES = 2
OTHERS_SHARE = 20
TOKEN_LIVES = timedelta(minutes=60)

Answer = tuple[Stage, str, str]


@dataclass(slots=True)
class Box:
    """A mailbox: what Postmend knows of it, and what is true. `revoked_at`: its secret is really refused from then,
    until `cured_at`; `met_at`: the first login that met it.

    `group` is its provider's number; 0 is the provider that the scenario is about.
    """

    snapshot: Snapshot
    group: int
    token_until: datetime = START
    revoked_at: datetime | None = None
    cured_at: datetime | None = None
    met_at: datetime | None = None
    burst_until: datetime | None = None
    next_read_at: datetime = START
    next_check_at: datetime | None = START
    flagged_at: datetime | None = None
    out_since: datetime | None = None
    out_of_work: timedelta = timedelta(0)

    def is_refused(self, at: datetime) -> bool:
        """Return whether its owner really has to reconnect."""
        is_over = self.cured_at is not None and at >= self.cured_at
        return self.revoked_at is not None and at >= self.revoked_at and not is_over


@dataclass(slots=True)
class Site:
    """What servers answer at a moment: a failure, or None where the step passes. `rng` is the scenario's own."""

    rng: random.Random
    answer: Callable[[Box, Leg, datetime, random.Random], Answer | None]

    def ask(self, box: Box, leg: Leg, at: datetime) -> Step | None:
        """Return the failed step of an attempt at this leg, or None."""
        found = self.answer(box, leg, at, self.rng)
        if found is None:
            return None
        stage, code, text = found
        return Step(stage, False, 5, code, text)


@dataclass(frozen=True, slots=True)
class Population:
    """How many mailboxes: `mailboxes` at the provider that the scenario is about, a twentieth at each other one."""

    mailboxes: int = 200
    providers: int = 1
    oauth_share: float = 0.5
    domains_of_one: bool = False
    preset: str = "example"
    workspaces: int = 0
    refusals_allowed: int | None = None

    def make(self, rng: random.Random) -> list[Box]:
        """Return the mailboxes, all connected, their rounds spread over an hour."""
        sizes = [self.mailboxes] + [max(OTHERS_SHARE, self.mailboxes // OTHERS_SHARE)] * (self.providers - 1)
        return [
            self._box(sum(sizes[:group]) + place + 1, group, place, sizes[group], rng)
            for group in range(len(sizes))
            for place in range(sizes[group])
        ]

    def _box(self, number: int, group: int, place: int, size: int, rng: random.Random) -> Box:
        workspaces = self.workspaces or max(LEAST_WORKSPACES, size // OF_A_WORKSPACE)
        workspace = place % workspaces
        domain = f"d{workspace}-{place // workspaces // OF_A_DOMAIN}.g{group}.test"
        is_oauth = rng.random() < self.oauth_share
        scope = f"provider:{self.preset}{group}"
        legs = {Leg.SMTP: scope, Leg.IMAP: scope} | ({Leg.OAUTH: f"client:{self.preset}{group}"} if is_oauth else {})
        seen = {leg: LegState(last_ok=START - timedelta(minutes=60) * rng.random()) for leg in legs}
        snapshot = Snapshot(
            id=number,
            state_version=1,
            status_since=START - timedelta(days=30),
            provider="",
            provider_family="",
            tenant=domain,
            credential_version=1,
            credential_kind=CredentialKind.OAUTH if is_oauth else CredentialKind.PASSWORD,
            oauth_client=f"{self.preset}{group}" if is_oauth else "",
            one_login=True,
            workspace_id=group * 100_000 + workspace,
            domain=domain,
            scopes=legs,
            budget_keys={},
            standing=Standing(Status.CONNECTED),
            next_check_at=None,
            last_check_at=None,
            resting_until=None,
            throttled_until=None,
            use={},
            legs=seen,
        )
        due = START + timedelta(minutes=60) * rng.random()
        read = START + timedelta(minutes=15) * rng.random()
        return Box(snapshot, group, START + TOKEN_LIVES * rng.random(), next_read_at=read, next_check_at=due)


@dataclass(slots=True)
class Tally:
    """What is counted over a run."""

    logins: int = 0
    changes: int = 0
    flagged_wrongly: int = 0
    flagged_rightly: int = 0
    flagged_late: int = 0
    minutes_to_flag: list[float] = field(default_factory=list)
    incidents: int = 0
    alarms: int = 0
    first_incident_at: datetime | None = None
    incident_over_at: datetime | None = None
    all_well_at: datetime | None = None
    refused_by_host: list[datetime] = field(default_factory=list)
