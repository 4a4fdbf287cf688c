"""One run of one scenario, and what is counted of it (SPEC X8). Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from mailboxes.health.simulation import recipients
from mailboxes.health.simulation.catalogue import SCENARIOS
from mailboxes.health.simulation.run import Simulation, flagged_now
from mailboxes.health.simulation.scenarios import FAULT_AT, Noise, Scenario, noisy
from mailboxes.health.simulation.world import START, Box, Population, Site
from mailboxes.health.thresholds import DEFAULT, Thresholds

AFTERWARDS = timedelta(minutes=90)
# SPEC H4.
NAMED_WITHIN = timedelta(minutes=3)
BARE_WITHIN = timedelta(minutes=13)
USUAL_NOISE = Noise(timeouts=0.01, refusals=0.0001)


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


def simulate(order: Order, numbers: Thresholds = DEFAULT) -> dict[str, Any]:
    """Run one scenario and return its figures (SPEC X8). The same order gives the same answer.

    Raises KeyError for a scenario that does not exist.
    """
    if order.scenario == recipients.NAME:
        return _of_recipients(order, numbers)
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
        flagged_within=NAMED_WITHIN if scenario.named else BARE_WITHIN,
    )
    run.run()
    return _figures(order, run, ends - START)


def _of_recipients(order: Order, numbers: Thresholds) -> dict[str, Any]:
    """No login fails in it: what counts are the leads."""
    mailboxes = order.mailboxes or Population().mailboxes
    minutes = recipients.MINUTES if order.minutes is None else order.minutes
    found = recipients.run(mailboxes, minutes, order.seed, numbers)
    return {
        "scenario": order.scenario,
        "seed": order.seed,
        "mailboxes": mailboxes,
        "flagged_wrongly": 0,
        "flagged_rightly": 0,
        "flagged_late": 0,
        "needing_a_person_wrongly": found["leads_suppressed_wrongly"],
        **found,
    }


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


def _figures(order: Order, run: Simulation, length: timedelta) -> dict[str, Any]:
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
        "flagged_late": tally.flagged_late + _missing(boxes),
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


def _missing(boxes: Sequence[Box]) -> int:
    """Really refused, and never flagged."""
    return sum(box.revoked_at is not None and box.flagged_at is None and not _was_cured(box) for box in boxes)


def _was_cured(box: Box) -> bool:
    return box.snapshot.standing.status.value == "connected"


def _most_refused(times: Sequence[datetime]) -> int:
    window, first, most = timedelta(minutes=10), 0, 0
    ordered = sorted(times)
    for place, at in enumerate(ordered):
        while at - ordered[first] >= window:
            first += 1
        most = max(most, place - first + 1)
    return most


def _since(at: datetime | None, since: datetime) -> float | None:
    return _rounded((at - since) / timedelta(minutes=1)) if at is not None else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
