"""Run a scenario against the health rules in simulated time: a healthy month, an outage, a policy date (SPEC X8).

`simulate all --seeds 1-5` prints a table of all scenarios; `simulate replay --days 7` replays the failures that this
database recorded. Thresholds are tried out by --set, as in --set bare_logins=2 --set held_ours_every=60.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailboxes.health.simulation import recipients
from mailboxes.health.simulation.catalogue import SCENARIOS
from mailboxes.health.simulation.figures import Order, simulate
from mailboxes.health.simulation.scenarios import Noise
from mailboxes.health.thresholds import Thresholds, thresholds_from
from mailboxes.management.replay import replay
from mailboxes.management.tables import show

COLUMNS = (
    "scenario", "seed", "mailboxes", "flagged_wrongly", "flagged_rightly", "flagged_late", "minutes_to_flag_max",
    "needing_a_person_wrongly", "status_changes_per_mailbox_day", "incidents", "minutes_to_incident",
    "minutes_to_all_well", "logins_per_mailbox_day",
)  # fmt: skip
NAMES = (*SCENARIOS, recipients.NAME)
# Long ones are not part of "all": a hundred mailbox-years take minutes.
NOT_IN_ALL = ("healthy", "noise")


class Command(BaseCommand):
    """See the module's words."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Scenario, sizes, noise, seeds and thresholds."""
        names = ", ".join(NAMES)
        parser.add_argument("scenario", help=f"all, replay, or one of: {names}")
        parser.add_argument("--mailboxes", type=int, help="at the provider that the scenario is about")
        parser.add_argument("--providers", type=int, help="how many providers; each other one is a twentieth as large")
        parser.add_argument("--workspaces", type=int, help="how many workspaces share a provider's mailboxes")
        parser.add_argument("--minutes", type=float, help="how long the fault lasts")
        parser.add_argument("--days", type=float, help="how long is simulated, or how many recorded days are replayed")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--seeds", default="", help="several, as in 1-5")
        parser.add_argument("--timeouts", type=float, default=0.01, help="noise: share of logins that time out")
        parser.add_argument("--refusals", type=float, default=0.0001, help="noise: share that are wrongly refused")
        parser.add_argument("--burst", type=float, default=0.0, help="noise: mean seconds of a burst of refusals")
        parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another threshold")
        parser.add_argument("--json", action="store_true", help="one JSON object for each run")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run and print."""
        numbers = _numbers(options["set"])
        if options["scenario"] == "replay":
            rows = [replay(days=options["days"] or 1.0, numbers=numbers)]
        else:
            rows = [simulate(order, numbers) for order in _orders(options)]
        if options["json"]:
            for row in rows:
                self.stdout.write(json.dumps(row))
            return
        names = [name for name in COLUMNS if name in rows[0]] if len(rows) > 1 else list(rows[0])
        cells = [([_cell(row.get(name)) for name in names], _style(row)) for row in rows]
        show(self.stdout, "Simulated", names, cells)


def _cell(value: Any) -> Any:
    return "–" if value is None else value


def _style(row: dict[str, Any]) -> str:
    return "red" if row.get("flagged_wrongly") or row.get("needing_a_person_wrongly") else ""


def _orders(options: dict[str, Any]) -> Iterator[Order]:
    names = [name for name in NAMES if name not in NOT_IN_ALL]
    wanted = names if options["scenario"] == "all" else [options["scenario"]]
    for name in wanted:
        if name not in NAMES:
            raise CommandError(f"There is no scenario {name!r}. Known: all, replay, {', '.join(NAMES)}.")
        for seed in _seeds(options["seeds"]) or [options["seed"]]:
            yield Order(
                name,
                mailboxes=_positive(options, "mailboxes"),
                providers=_positive(options, "providers"),
                workspaces=_positive(options, "workspaces"),
                minutes=options["minutes"],
                days=options["days"],
                seed=seed,
                noise=Noise(options["timeouts"], options["refusals"], options["burst"]),
            )


def _positive(options: dict[str, Any], name: str) -> int | None:
    value = options[name]
    if value is not None and value < 1:
        raise CommandError(f"--{name} must be 1 or more, not {value}.")
    return int(value) if value is not None else None


def _seeds(text: str) -> list[int]:
    first, _, last = text.partition("-")
    if not text:
        return []
    if not first.isdigit() or not (last or first).isdigit():
        raise CommandError(f"--seeds must be a number or a range as in 1-5, not {text!r}.")
    return list(range(int(first), int(last or first) + 1))


def _numbers(pairs: list[str]) -> Thresholds:
    given: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise CommandError(f"--set {pair!r} must be NAME=VALUE, as in bare_logins=2.")
        try:
            given[name] = json.loads(value)
        except ValueError:
            raise CommandError(f"--set {pair!r}: {value!r} is no number; give seconds, or a list of them.") from None
    try:
        return thresholds_from(given)
    except ValueError as error:
        raise CommandError(str(error)) from None
