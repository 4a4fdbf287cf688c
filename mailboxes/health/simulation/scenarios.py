"""The scenarios of `manage.py simulate`: who fails how, when, and what is really true. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailboxes.health.simulation.run import Words
from mailboxes.health.simulation.world import START, Answer, Box, Population
from mailboxes.wire.values import Leg, Stage

Rule = Callable[[Box, Leg, datetime, random.Random], Answer | None]

BARE = {
    Leg.SMTP: (Stage.AUTH, "535 5.7.8", "535 5.7.8 Error: authentication failed"),
    Leg.IMAP: (Stage.AUTH, "NO AUTHENTICATIONFAILED", "A1 NO [AUTHENTICATIONFAILED] Authentication failed."),
    Leg.OAUTH: (Stage.TOKEN, "invalid_grant", '{"error": "invalid_grant"}'),
}
NAMED = (Stage.AUTH, "534 5.7.9", "534 5.7.9 Application-specific password required.")
BASIC_OFF = (Stage.AUTH, "535 5.7.139", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.")
TENANT_OFF = (Stage.AUTH, "535 5.7.139", "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.")
LICENCE = (Stage.AUTH, "535 5.7.3", "535 5.7.3 Authentication unsuccessful: invalid licence")
SILENT = (Stage.CONNECT, "ETIMEDOUT", "the connection timed out")
NO_PORT = (Stage.CONNECT, "ECONNREFUSED", "connection refused")
NO_ROUTE = (Stage.CONNECT, "ENETUNREACH", "network is unreachable")
BUSY = (Stage.GREETING, "421 4.7.0", "421 4.7.0 Temporary server error. Please try again later.")
CERTIFICATE = (Stage.TLS, "CERTIFICATE_VERIFY_FAILED", "certificate verify failed: certificate has expired")
NXDOMAIN = (Stage.DNS, "NXDOMAIN", "the name does not exist")
NO_RESOLVER = (Stage.DNS, "EAI_AGAIN", "the name server gave no answer: query timed out")
TOKEN_500 = (Stage.TOKEN, "HTTP 503", "<html><title>503 Service Unavailable</title>No server is available.</html>")
CLIENT_EXPIRED = (Stage.TOKEN, "invalid_client AADSTS7000222", '{"error":"invalid_client"} AADSTS7000222')


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, from `FAULT_AT` for so many minutes. `days` is how long is simulated after the fault's beginning.

    `answer` is asked at each step; `prepare` sets what is really true of the mailboxes.
    """

    name: str
    says: str
    answer: Rule
    minutes: float = 10
    days: float = 0
    prepare: Callable[[list[Box], random.Random, datetime], None] = field(default=lambda _boxes, _rng, _at: None)
    population: Population = field(default_factory=Population)
    words: Words = field(default_factory=Words)
    named: bool = False


@dataclass(frozen=True, slots=True)
class Noise:
    """How often healthy servers fail."""

    timeouts: float = 0.0
    refusals: float = 0.0
    burst_s: float = 0.0


# A day of the usual before the fault: what is usual is known by then.
FAULT_AT = START + timedelta(hours=2)


def truth(box: Box, leg: Leg, at: datetime, _rng: random.Random) -> Answer | None:
    """Return the refusal of a secret that is really wrong."""
    if not box.is_refused(at):
        return None
    if leg is Leg.OAUTH or Leg.OAUTH not in box.snapshot.legs:
        return BARE[leg]
    return None


def noisy(noise: Noise) -> Rule:
    """Return healthy servers that fail now and then."""

    def answer(box: Box, leg: Leg, at: datetime, rng: random.Random) -> Answer | None:
        # A mail server's bad minute: the token endpoint is another machine, and a refresh is no login.
        if box.burst_until is not None and at < box.burst_until and leg is not Leg.OAUTH:
            return BARE[leg]
        draw = rng.random()
        if draw < noise.timeouts:
            return SILENT if leg is not Leg.OAUTH else TOKEN_500
        if draw < noise.timeouts + noise.refusals and leg is not Leg.OAUTH:
            if noise.burst_s:
                box.burst_until = at + timedelta(seconds=rng.expovariate(1 / noise.burst_s))
            return BARE[leg]
        return None

    return answer


def during(answer: Rule, minutes: float, *, group: int | None = 0, begins: datetime = FAULT_AT) -> Rule:
    """Return the fault for so long, at the scenario's provider (or at all, for None); else what is true."""
    until = begins + timedelta(minutes=minutes)

    def found(box: Box, leg: Leg, at: datetime, rng: random.Random) -> Answer | None:
        if begins <= at < until and group in (None, box.group):
            fault = answer(box, leg, at, rng)
            if fault is not None:
                return fault
        return truth(box, leg, at, rng)

    return found


def always(answer: Answer, *legs: Leg) -> Rule:
    """Return this answer at these legs; at both mail legs where none is named."""
    wanted = legs or (Leg.SMTP, Leg.IMAP)
    return lambda _box, leg, _at, _rng: answer if leg in wanted else None


def refuse(*legs: Leg, share: float = 1.0) -> Rule:
    """Return the bare refusal at these legs, for this share of the logins."""
    wanted = legs or (Leg.SMTP, Leg.IMAP)
    return lambda _box, leg, _at, rng: BARE[leg] if leg in wanted and rng.random() < share else None
