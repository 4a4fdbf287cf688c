"""The last 30 days of a mailbox as a picture: what its status was, and how fast its servers answered (A4).

Values in, coordinates out: one unit across is an hour. The template draws them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from mailboxes.states import Status
from mailboxes.wire.values import Leg
from mailboxes.wording import status_label

DAYS = 30
WIDTH = DAYS * 24
CHART = 90
BUCKET = 3  # hours that one point stands for
_GAP = 24
_COLOURS = {
    Status.CONNECTED: "green",
    Status.SUSPECT: "amber",
    Status.ERROR: "orange",
    Status.NEEDS_REAUTH: "red",
    Status.UNVERIFIED: "grey",
}
Hours = Mapping[str, Mapping[str, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of one status."""

    x: float
    width: float
    colour: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """How long one leg took, as an SVG path."""

    leg: str
    path: str
    average_ms: int
    slowest_ms: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn, and the same in words."""

    bands: Sequence[Band]
    lines: Sequence[Line]
    days: Sequence[tuple[float, str]]
    top_ms: int
    words: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change of status, as the picture needs it."""

    at: datetime
    before: str
    after: str


def draw(
    changes: Sequence[Change], days: Iterable[tuple[date, Hours]], *, status: str, created_at: datetime, now: datetime
) -> Picture:
    """The picture. `changes` of the last 30 days in their order, `days` the roll-ups, `status` the present one."""
    start = now - timedelta(days=DAYS)
    bands = _bands(changes, status, max(start, created_at), start, now)
    points, facts = _points(days, start, now)
    top_ms = max((ms for of_leg in points.values() for _x, ms in of_leg), default=0)
    lines = [Line(leg, _path(points[leg], top_ms), *facts[leg]) for leg in Leg if leg in points]
    return Picture(bands, lines, _ticks(start, now), round(top_ms), _words(bands, lines))


def _bands(changes: Sequence[Change], status: str, begin: datetime, start: datetime, now: datetime) -> list[Band]:
    times = [begin, *(max(change.at, begin) for change in changes), now]
    states = [*(change.before for change in changes[:1]), *(change.after for change in changes)] or [status]
    stretches: list[tuple[datetime, datetime, str]] = []
    for (since, until), state in zip(pairwise(times), states, strict=True):
        if stretches and stretches[-1][2] == state:
            stretches[-1] = (stretches[-1][0], until, state)
        elif until > since:
            stretches.append((since, until, state))
    return [_band(since, until, Status(state), start) for since, until, state in stretches]


def _band(since: datetime, until: datetime, status: Status, start: datetime) -> Band:
    title = f"{status_label(status)}: {since:%-d %b %H:%M} to {until:%-d %b %H:%M} UTC"
    return Band(round(_x(since, start), 2), round((until - since) / timedelta(hours=1), 2), _COLOURS[status], title)


def _points(
    days: Iterable[tuple[date, Hours]], start: datetime, now: datetime
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, tuple[int, int]]]:
    """For each leg its points (hours, milliseconds), and its average and slowest."""
    sums: dict[str, dict[int, list[int]]] = {}
    slowest: dict[str, int] = {}
    for day, hours in days:
        for hour, legs in hours.items():
            at = datetime.combine(day, time(int(hour)), UTC)
            for leg, (passed, _failed, total_ms, slowest_ms) in legs.items():
                if passed and start <= at <= now and leg != Leg.OAUTH:
                    bucket = sums.setdefault(leg, {}).setdefault(int(_x(at, start)) // BUCKET, [0, 0])
                    bucket[:] = [bucket[0] + passed, bucket[1] + total_ms]
                    slowest[leg] = max(slowest.get(leg, 0), slowest_ms)
    points = {leg: [((b + 0.5) * BUCKET, ms / n) for b, (n, ms) in sorted(of.items())] for leg, of in sums.items()}
    facts = {leg: (_average(of.values()), slowest[leg]) for leg, of in sums.items()}
    return points, facts


def _average(buckets: Iterable[Sequence[int]]) -> int:
    pairs = list(buckets)
    return round(sum(total for _n, total in pairs) / sum(n for n, _total in pairs))


def _path(points: Sequence[tuple[float, float]], top_ms: float) -> str:
    """A line through the points, broken where nothing was measured for a day."""
    words, last = [], None
    for x, ms in points:
        y = CHART - CHART * ms / (top_ms or 1)
        words.append(f"{'M' if last is None or x - last > _GAP else 'L'}{x:.1f} {y:.1f}")
        last = x
    return " ".join(words)


def _ticks(start: datetime, now: datetime) -> list[tuple[float, str]]:
    """Midnights, one in five days."""
    first = datetime.combine(start.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    days = (first + timedelta(days=step) for step in range(0, DAYS, 5))
    return [(round(_x(day, start), 1), f"{day:%-d %b}") for day in days if day < now]


def _x(at: datetime, start: datetime) -> float:
    return (at - start) / timedelta(hours=1)


def _words(bands: Sequence[Band], lines: Sequence[Line]) -> str:
    known = [band for band in bands if band.colour != "grey"]
    whole = sum(band.width for band in known)
    working = sum(band.width for band in known if band.colour == "green")
    parts = [f"Connected {100 * working / whole:.1f} % of the time" if whole else "Nothing is known yet"]
    parts += [f"{line.leg.upper()} takes {line.average_ms} ms (slowest {line.slowest_ms} ms)" for line in lines]
    return "; ".join(parts) + "."
