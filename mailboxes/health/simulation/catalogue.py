"""The scenarios by name, and one run of one of them. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from mailboxes.health.budget import UNKNOWN_HOST
from mailboxes.health.incidents.values import Word
from mailboxes.health.simulation import scenarios as s
from mailboxes.health.simulation.run import Simulation, Words, flagged_now
from mailboxes.health.simulation.scenarios import FAULT_AT, Noise, Scenario, always, during, noisy, refuse
from mailboxes.health.simulation.world import START, Answer, Box, Population, Site
from mailboxes.health.thresholds import DEFAULT, Thresholds
from mailboxes.wire.values import Leg

USUAL_NOISE = Noise(timeouts=0.01, refusals=0.0001)
AFTERWARDS = timedelta(minutes=90)
NAMED_AT_MOST = 3.0
BARE_AT_MOST = 13.0
AFTER_INCIDENT_AT_MOST = 30.0
REALLY_CHANGED = 0.01


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of `simulate`. None leaves the scenario's own."""

    scenario: str
    mailboxes: int | None = None
    providers: int | None = None
    minutes: float | None = None
    days: float | None = None
    seed: int = 1
    noise: Noise = USUAL_NOISE
    workspaces: int | None = None


def _some_change(boxes: list[Box], rng: random.Random, at: datetime) -> None:
    """One in a hundred customers really changes the password meanwhile."""
    for box in boxes:
        if Leg.OAUTH not in box.snapshot.legs and box.group == 0 and rng.random() < REALLY_CHANGED:
            box.revoked_at = at + timedelta(minutes=5) * rng.random()


def _one_changes(boxes: list[Box], _rng: random.Random, at: datetime) -> None:
    boxes[0].revoked_at = at


def _workspace_changes(boxes: list[Box], rng: random.Random, at: datetime) -> None:
    """The first tenth are one workspace, and all of it changes its passwords within five minutes."""
    for box in boxes[: len(boxes) // 10]:
        box.snapshot = replace(box.snapshot, workspace_id=1, domain="one.test")
        box.revoked_at = at + timedelta(minutes=5) * rng.random()


def _all_refused(boxes: list[Box], rng: random.Random, at: datetime) -> None:
    for box in boxes:
        if box.group == 0:
            box.revoked_at = at + timedelta(minutes=5) * rng.random()


def _policy(box: Box, leg: Leg, at: datetime, _rng: random.Random) -> Answer | None:
    return s.BASIC_OFF if leg is Leg.SMTP and box.is_refused(at) else None


def _named_truth(box: Box, leg: Leg, at: datetime, _rng: random.Random) -> Answer | None:
    return s.NAMED if leg is not Leg.OAUTH and box.is_refused(at) else None


def _waves(*starts_and_minutes: tuple[float, float], rule: s.Rule) -> s.Rule:
    def answer(box: Box, leg: Leg, at: datetime, rng: random.Random) -> Answer | None:
        for start, minutes in starts_and_minutes:
            begins = FAULT_AT + timedelta(hours=start)
            if begins <= at < begins + timedelta(minutes=minutes) and box.group == 0:
                return rule(box, leg, at, rng)
        return None

    return answer


def _part(share: float, rule: s.Rule) -> s.Rule:
    """Only this share of the mailboxes is served by the broken part of the provider."""
    return lambda box, leg, at, rng: rule(box, leg, at, rng) if box.snapshot.id % 100 < share * 100 else None


def _sometimes(share: float, rule: s.Rule) -> s.Rule:
    return lambda box, leg, at, rng: rule(box, leg, at, rng) if rng.random() < share else None


PASSWORDS = Population(oauth_share=0.0)
CONSENTS = Population(oauth_share=1.0)
TWENTY = Population(providers=20)
TENANT = Population(mailboxes=40, providers=3, oauth_share=0.0)
FIVE = Population(mailboxes=400, providers=5)
HOUR = 60.0
_ALL = (Leg.SMTP, Leg.IMAP, Leg.OAUTH)


def _scenarios() -> list[Scenario]:
    day = 24 * HOUR
    return [
        Scenario("healthy", "Nothing fails.", noisy(Noise()), minutes=0, days=7),
        Scenario("noise", "Healthy servers fail now and then.", noisy(Noise(0.01, 0.0001)), minutes=0, days=30),
        Scenario("outage-refused", "The ports refuse.", during(always(s.NO_PORT), 10)),
        Scenario("outage-hang", "The servers say nothing.", during(always(s.SILENT), 10)),
        Scenario("outage-421", "The servers say: try again later.", during(always(s.BUSY), 10)),
        Scenario("outage-535", "Every password is refused.", during(refuse(), 10), prepare=_some_change),
        Scenario("outage-535-smtp", "SMTP refuses every password.", during(refuse(Leg.SMTP), 10)),
        Scenario(
            "outage-imap-intermittent",
            "IMAP refuses three logins in ten, SMTP none.",
            during(refuse(Leg.IMAP, share=0.3), 3 * day),
            minutes=3 * day,
        ),
        Scenario(
            "outage-waves",
            "Three waves in 36 hours.",
            _waves((0, 60), (12, 45), (34, 142), rule=refuse()),
            minutes=34 * HOUR + 142,
        ),
        Scenario(
            "outage-21h",
            "21 hours of refused logins in a part of the provider.",
            during(_part(0.6, refuse()), 21 * HOUR),
            minutes=21 * HOUR,
        ),
        Scenario(
            "outage-invalid-grant", "Every refresh is refused.", during(refuse(Leg.OAUTH), 10), population=CONSENTS
        ),
        Scenario("outage-certificate", "The certificate has expired.", during(always(s.CERTIFICATE), 60), minutes=60),
        Scenario("outage-nxdomain", "The provider's names are gone.", during(always(s.NXDOMAIN), 60), minutes=60),
        Scenario(
            "outage-token-500",
            "The token endpoint fails.",
            during(always(s.TOKEN_500, Leg.OAUTH), 60),
            minutes=60,
            population=CONSENTS,
        ),
        Scenario(
            "client-expired",
            "The secret of our own OAuth client has expired.",
            during(always(s.CLIENT_EXPIRED, Leg.OAUTH), 60),
            minutes=60,
            population=CONSENTS,
        ),
        Scenario(
            "egress-cut",
            "Our own way out is cut.",
            during(always(s.NO_ROUTE, *_ALL), 20, group=None),
            minutes=20,
            population=FIVE,
        ),
        Scenario(
            "resolver-slow",
            "Our own name server answers half of the time.",
            during(_sometimes(0.5, always(s.NO_RESOLVER, *_ALL)), 20, group=None),
            minutes=20,
            population=FIVE,
        ),
        Scenario(
            "tenant-switch",
            "A tenant switches SMTP AUTH off for an hour.",
            lambda box, leg, at, _rng: s.TENANT_OFF if leg is Leg.SMTP and _in_tenant(box) and _in_hour(at) else None,
            minutes=60,
            population=TENANT,
            prepare=lambda boxes, _rng, at: _tenant_off(boxes, at),
            named=True,
        ),
        Scenario(
            "policy-date",
            "The provider ends passwords; a person says an hour later that it is meant.",
            _policy,
            minutes=3 * HOUR,
            population=Population(mailboxes=3000, oauth_share=0.0),
            prepare=_all_refused,
            words=Words(Word.REAL, timedelta(hours=1)),
            named=True,
        ),
        Scenario(
            "mass-password-reset",
            "One workspace changes all its passwords.",
            s.truth,
            minutes=30,
            population=Population(mailboxes=10_000, oauth_share=0.0),
            prepare=_workspace_changes,
        ),
        Scenario(
            "real-refusal",
            "One customer changes the password.",
            s.truth,
            minutes=30,
            population=PASSWORDS,
            prepare=_one_changes,
        ),
        Scenario(
            "real-refusal-named",
            "One mailbox needs an app password from now on.",
            _named_truth,
            minutes=30,
            population=PASSWORDS,
            prepare=_one_changes,
            named=True,
        ),
        Scenario(
            "host-bans",
            "All passwords change at a host that bans after five refusals in ten minutes.",
            s.truth,
            minutes=8 * HOUR,
            population=Population(mailboxes=20, oauth_share=0.0, workspaces=2, refusals_allowed=UNKNOWN_HOST),
            prepare=_all_refused,
        ),
        *_real_ones(),
    ]


def _real_ones() -> list[Scenario]:
    """The eleven outages of INCIDENTS, 2,000 mailboxes each, and the planned end of passwords beside them."""
    big = Population(mailboxes=2000, providers=3)
    rows: list[tuple[str, str, s.Rule, float]] = [
        ("google-2020-12-14", "Login impossible for 47 minutes.", _sometimes(0.9, refuse(*_ALL)), 47),
        ("gmail-2020-12-15", "421 for 2 h 22 min.", _sometimes(0.6, always(s.BUSY)), 142),
        ("gmail-smtp-2023-01-26", "Errors and delays at SMTP AUTH.", _sometimes(0.5, refuse(Leg.SMTP)), 108),
        ("gmail-2024-07-30", "Errors and delays.", _sometimes(0.5, always(s.SILENT)), 185),
        ("gmail-2026-04-08", "Delays in sending.", _sometimes(0.3, always(s.BUSY, Leg.SMTP)), 490),
        ("azure-2020-09-28", "Sign-in and token errors.", _sometimes(0.8, always(s.TOKEN_500, Leg.OAUTH)), 178),
        ("azure-2021-03-15", "Valid tokens are refused.", _sometimes(0.7, refuse(*_ALL)), 865),
        ("exchange-2025-07-09", "Login failures, invalid licence.", _sometimes(0.62, always(s.LICENCE)), 1260),
        ("exchange-imap-2026-01-07", "Intermittent IMAP logins.", refuse(Leg.IMAP, share=0.3), 2880),
        ("yahoo-2026-01-21", "Too many requests at login.", _sometimes(0.8, refuse()), 240),
        ("exchange-2026-05-24", "Sign-in failures in a part.", _part(0.5, _sometimes(0.6, refuse())), 495),
    ]
    found = [
        Scenario(name, says, during(rule, minutes), minutes=minutes, population=big)
        for name, says, rule, minutes in rows
    ]
    planned = Scenario(
        "planned-end-of-passwords",
        "Passwords end on an announced day; a person says so.",
        _policy,
        minutes=3 * HOUR,
        population=Population(mailboxes=2000, providers=3, oauth_share=0.0),
        prepare=_all_refused,
        words=Words(Word.REAL, timedelta(minutes=30)),
        named=True,
    )
    return [*found, planned]


def _in_hour(at: datetime) -> bool:
    return FAULT_AT <= at < FAULT_AT + timedelta(hours=1)


def _in_tenant(box: Box) -> bool:
    return box.group == 0 and box.snapshot.workspace_id == 0


def _tenant_off(boxes: list[Box], at: datetime) -> None:
    for box in boxes:
        if _in_tenant(box):
            box.snapshot = replace(box.snapshot, domain="tenant.test", tenant="tenant.test")
            box.revoked_at, box.cured_at = at, at + timedelta(hours=1)


SCENARIOS: dict[str, Scenario] = {one.name: one for one in _scenarios()}


def simulate(order: Order, numbers: Thresholds = DEFAULT) -> dict[str, Any]:
    """Run one scenario and return its figures (SPEC X8). The same order gives the same answer.

    Raises KeyError for a scenario that does not exist.
    """
    scenario = SCENARIOS[order.scenario]
    population = _population(scenario, order)
    rng = random.Random(order.seed)
    boxes = population.make(rng)
    scenario.prepare(boxes, rng, FAULT_AT)
    until = FAULT_AT + timedelta(minutes=scenario.minutes if order.minutes is None else order.minutes)
    days = scenario.days if order.days is None else order.days
    ends = max(until + AFTERWARDS, START + timedelta(days=days))
    run = Simulation(
        boxes,
        Site(random.Random(order.seed + 1), _rule(scenario, order)),
        numbers,
        begins=START,
        ends=ends,
        fault_until=until,
        seed=order.seed,
        words=scenario.words,
        refusals_allowed=population.refusals_allowed,
    )
    run.run()
    return _figures(order, scenario, run, ends - START)


def _population(scenario: Scenario, order: Order) -> Population:
    usual = scenario.population
    return replace(
        usual,
        mailboxes=usual.mailboxes if order.mailboxes is None else order.mailboxes,
        providers=usual.providers if order.providers is None else order.providers,
        workspaces=usual.workspaces if order.workspaces is None else order.workspaces,
    )


def _rule(scenario: Scenario, order: Order) -> Callable[..., Any]:
    if scenario.name == "noise":
        return noisy(order.noise)
    return scenario.answer


def _figures(order: Order, scenario: Scenario, run: Simulation, length: timedelta) -> dict[str, Any]:
    tally, boxes = run.tally, list(run.boxes.values())
    mailbox_days = len(boxes) * (length / timedelta(days=1))
    wrongly_out = [
        box.out_of_work / timedelta(minutes=1) for box in boxes if box.revoked_at is None and box.out_of_work
    ]
    flagged = flagged_now(boxes)
    return {
        "scenario": order.scenario,
        "seed": order.seed,
        "mailboxes": len(boxes),
        "mailbox_days": round(mailbox_days, 2),
        "flagged_wrongly": tally.flagged_wrongly,
        "flagged_rightly": tally.flagged_rightly,
        "flagged_late": _late(scenario, tally.minutes_to_flag, run) + _missing(boxes),
        "minutes_to_flag_p50": _rounded(median(tally.minutes_to_flag)) if tally.minutes_to_flag else None,
        "minutes_to_flag_max": _rounded(max(tally.minutes_to_flag, default=None)),
        "needing_a_person_wrongly": sum(not box.is_refused(START + length) for box in flagged),
        "minutes_out_of_work_wrongly_p50": _rounded(median(wrongly_out)) if wrongly_out else 0.0,
        "status_changes_per_mailbox_day": round(tally.changes / mailbox_days, 4),
        "incidents": tally.incidents,
        "alarms": tally.alarms,
        "minutes_to_incident": _since(tally.first_incident_at, FAULT_AT),
        "minutes_to_all_well": _since(tally.all_well_at, run.fault_until),
        "logins_per_mailbox_day": round(tally.logins / mailbox_days, 1),
        "most_refused_in_ten_minutes": _most_refused(tally.refused_by_host),
    }


def _late(scenario: Scenario, minutes: Sequence[float], run: Simulation) -> int:
    """How many real refusals were flagged later than they had to be, from the first login that met them."""
    if run.tally.incidents:
        until = (run.fault_until - FAULT_AT) / timedelta(minutes=1) + AFTER_INCIDENT_AT_MOST
        return sum(one > until for one in minutes)
    return sum(one > (NAMED_AT_MOST if scenario.named else BARE_AT_MOST) for one in minutes)


def _missing(boxes: Sequence[Box]) -> int:
    """Really refused, and never flagged."""
    return sum(box.revoked_at is not None and box.flagged_at is None and not _was_cured(box) for box in boxes)


def _was_cured(box: Box) -> bool:
    return box.snapshot.standing.status.value == "connected"


def _most_refused(times: Sequence[datetime]) -> int:
    window, first, most = timedelta(minutes=10), 0, 0
    ordered = sorted(times)
    for place, at in enumerate(ordered):
        while at - ordered[first] > window:
            first += 1
        most = max(most, place - first + 1)
    return most


def _since(at: datetime | None, since: datetime) -> float | None:
    return _rounded((at - since) / timedelta(minutes=1)) if at is not None else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
