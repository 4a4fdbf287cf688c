"""Incidents and counts in the database: what `ledger` keeps in memory. In the caller's transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Q, QuerySet, Sum

from mailboxes.health import alarms, versions
from mailboxes.health.failure_class import FailureClass, categories_of
from mailboxes.health.incidents.board import Board
from mailboxes.health.incidents.ledger import BASELINE_DAYS
from mailboxes.health.incidents.values import Counts, Incident, Key, Phase, Seen, Word
from mailboxes.health.numbers import in_force
from mailboxes.health.thresholds import Thresholds
from mailboxes.models import Incident as IncidentRow
from mailboxes.models import LoginCount, LoginSample, Mailbox, StaffAlarm, StatusChange
from mailboxes.models.incident import ACTIVE
from mailboxes.models.sets import about_how_many, add_counts
from mailboxes.providers.presets import presets_of
from mailboxes.states import Source, Status
from mailboxes.wire.values import Leg

SLOT_S = 15
BUCKETS = 16
KEY = ("scope", "leg", "slot", "failure_class", "bucket")
COUNTERS = ("attempts", "again", "worse")
MOST_SAMPLES = 2000
MOST_EXAMPLES = 5
FLAGS_LOCK = 7_501_201  # any number, the same in every worker
SAMPLES_KEPT = timedelta(hours=1)
COUNTS_KEPT = timedelta(hours=1)
BASELINE_KEPT = timedelta(days=BASELINE_DAYS + 1)


def open_board(now: datetime) -> Board:
    """Return the incidents that are active or ended in the last day, on the database's book. One query."""
    numbers = in_force()
    recent = Q(phase__in=ACTIVE) | Q(changed_at__gte=now - numbers.incident_reopens_within)
    found = [_incident(row) for row in IncidentRow.objects.filter(recent).order_by("changed_at")]
    incidents = {one.key: one for one in found}
    explained = {one.key for one in found if one.phase is Phase.OPEN}
    return Board(numbers, DatabaseBook(numbers, explained), incidents)


def key_of(row: IncidentRow) -> Key:
    """Return what an incident is of."""
    return Key(row.scope, Leg(row.leg), FailureClass(row.failure_class))


def _incident(row: IncidentRow) -> Incident:
    return Incident(
        key=key_of(row),
        phase=Phase(row.phase),
        started_at=row.started_at,
        changed_at=row.changed_at,
        opened_at=row.opened_at,
        recovering_at=row.recovering_at,
        word=Word(row.word),
        ours=row.ours,
    )


class DatabaseBook:
    """Attempts counted in `LoginCount`, the failing ones also kept in `LoginSample` while no incident explains them."""

    def __init__(self, numbers: Thresholds, explained: set[Key]) -> None:
        self._numbers = numbers
        self._explained = explained
        self._is_version_new: bool | None = None
        self._samples: defaultdict[Key, list[dict[str, Any]]] = defaultdict(list)
        self._counts: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)

    def add(self, seen: Iterable[Seen]) -> None:
        """Count these attempts in: two statements."""
        rows: defaultdict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
        samples = []
        for one in seen:
            failure_class = one.failure_class.value if one.failure_class is not None else ""
            key = (one.scope, one.leg.value, _slot(one.at), failure_class, _bucket(one.group))
            rows[key].update(attempts=1, again=int(one.again), worse=int(one.worse))
            if one.failure_class and Key(one.scope, one.leg, one.failure_class) not in self._explained:
                samples.append(_sample(one))
        counted = [
            dict(zip(KEY, key, strict=True)) | {name: count[name] for name in COUNTERS} for key, count in rows.items()
        ]
        add_counts(LoginCount, counted, key=KEY, counters=COUNTERS)
        LoginSample.objects.bulk_create(samples)

    def prepare(self, keys: Iterable[Key], now: datetime) -> None:
        """Read what was seen lately of all these: two queries."""
        numbers = self._numbers
        long = now - max(numbers.incident_worse_window, numbers.incident_closes_after)
        scopes = {key.scope for key in keys}
        self._samples.clear()
        self._counts.clear()
        if not scopes:
            return
        for row in _samples(scopes, long):
            self._samples[Key(row["scope"], Leg(row["leg"]), FailureClass(row["failure_class"]))].append(row)
        for row in _count_rows(scopes, long):
            self._counts[row["scope"], row["leg"]].append(row)

    def counts(self, key: Key, now: datetime, since: datetime | None = None) -> Counts:
        """Return what was seen of this key lately, and after `since`. `prepare` has read it."""
        numbers = self._numbers
        short = now - (numbers.ours_window if key.is_ours else numbers.incident_window)
        close = now - numbers.incident_closes_after
        alike = [one for one in self._samples[key] if since is None or one["at"] > since]
        rows = self._counts[key.scope, key.leg.value]
        groups, domains = {one["group"] for one in alike}, {one["domain"] for one in alike}
        failing = {one["mailbox_id"] for one in alike if one["at"] > short}
        passed = [row for row in rows if not row["failure_class"]]
        failed = [row for row in rows if row["failure_class"] == key.failure_class.value]
        is_open = key in self._explained
        return Counts(
            failing=len(failing),
            checked=_sum(rows, "attempts", short),
            worse=len({one["mailbox_id"] for one in alike if one["worse"]}),
            usual_worse=_usual(key, now, numbers) if alike else 0.0,
            groups=len(groups),
            domains=len(domains),
            all_groups=max(len(groups), len({row["bucket"] for row in rows})),
            others_pass=bool({row["bucket"] for row in passed} - {_bucket(group) for group in groups}),
            first_failure_at=min((one["at"] for one in alike), default=None),
            lately_failed=_sum(failed, "attempts", close),
            lately_tried=_sum(rows, "attempts", close),
            others_failed=_sum(failed, "attempts", close) - _sum(failed, "again", close),
            others_tried=_sum(rows, "attempts", close) - _sum(rows, "again", close),
            held=_held(key) if is_open else 0,
            population=_population(key) if is_open else 0,
            recovered=_sum(passed, "again", short),
            still_failing=_sum(failed, "again", short),
        )

    def flags(self, now: datetime) -> Counter[str]:
        """Return how many mailboxes were flagged lately, by workspace, but by a person's word. One query, by the age of
        changes. Workers count one after the other: each sees what the others let through."""
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FLAGS_LOCK])
        rows = StatusChange.objects.filter(at__gt=now - self._numbers.flags_window, to_status=Status.NEEDS_REAUTH)
        flagged = rows.exclude(Q(from_status=Status.NEEDS_REAUTH) | Q(source=Source.INCIDENT))
        found = flagged.values_list("mailbox__workspace_id").annotate(times=Count("id")).order_by()
        return Counter({str(group): times for group, times in found})

    def flag(self, group: str, now: datetime) -> None:
        """Nothing to do: the change of status is the flag."""

    def population(self) -> int:
        """Return how many mailboxes there are, about."""
        return about_how_many(Mailbox)

    def is_version_new(self, now: datetime) -> bool:
        """Return whether a version of ours began lately. Asked once for a batch."""
        if self._is_version_new is None:
            self._is_version_new = versions.is_new(now, self._numbers)
        return self._is_version_new

    def is_cap_lifted(self, now: datetime) -> bool:
        """Return whether staff said on the alarm's page that the refusals are real."""
        return StaffAlarm.objects.filter(kind=alarms.FLAG_CAP, lifted_until__gt=now).exists()


def _slot(at: datetime) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // SLOT_S * SLOT_S, UTC)


def _bucket(group: str) -> int:
    return int(group) % BUCKETS if group.isdigit() else sum(group.encode()) % BUCKETS


def _sample(one: Seen) -> LoginSample:
    assert one.failure_class is not None
    return LoginSample(
        scope=one.scope,
        leg=one.leg.value,
        failure_class=one.failure_class.value,
        at=one.at,
        mailbox_id=one.mailbox_id,
        group=one.group,
        domain=one.domain,
        worse=one.worse,
        text=one.text,
    )


def _samples(scopes: Collection[str], since: datetime) -> list[dict[str, Any]]:
    rows = LoginSample.objects.filter(scope__in=scopes, at__gt=since).order_by("-at")
    columns = ("scope", "leg", "failure_class", "mailbox_id", "group", "domain", "worse", "at")
    return [dict(row) for row in rows.values(*columns)[:MOST_SAMPLES]]


def _count_rows(scopes: Collection[str], since: datetime) -> list[dict[str, Any]]:
    rows = LoginCount.objects.filter(scope__in=scopes, slot__gt=since)
    return [dict(row) for row in rows.values("scope", "leg", "failure_class", "slot", "bucket", *COUNTERS)]


def _sum(rows: Iterable[dict[str, Any]], column: str, since: datetime) -> int:
    """A slot that is half inside counts whole."""
    edge = since - timedelta(seconds=SLOT_S)
    return sum(int(row[column]) for row in rows if row["slot"] > edge)


def _usual(key: Key, now: datetime, numbers: Thresholds) -> float:
    """How many usually go out of work in a quarter of this hour of the day; the last seven days say so."""
    rows = LoginCount.objects.filter(
        scope=key.scope, leg=key.leg.value, failure_class=key.failure_class.value, worse__gt=0
    )
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = Q()
    for day in range(1, BASELINE_DAYS + 1):
        begun = hour - timedelta(days=day)
        hours |= Q(slot__gte=begun, slot__lt=begun + timedelta(hours=1))
    total = rows.filter(hours).aggregate(total=Sum("worse"))["total"] or 0
    return float(total / BASELINE_DAYS * (numbers.incident_worse_window / timedelta(hours=1)))


# ---- which mailboxes an incident is of


def mailboxes_of(key: Key) -> QuerySet[Mailbox]:
    """Return the mailboxes of a key's scope, by an index."""
    kind, _, name = key.scope.partition(":")
    found = Mailbox.objects.present().order_by()
    if kind == "provider":
        return found.filter(provider__in=presets_of(name))
    if kind == "client":
        return found.filter(credential__oauth_client__name=name)
    if kind == "host":
        return found.filter(provider="", **{f"{key.leg.value}_host": name})
    return found


def mailboxes_of_others(key: Key, now: datetime, numbers: Thresholds) -> list[int]:
    """Return a few connected mailboxes of a few other providers that were tried lately. A query for each provider."""
    lately = LoginCount.objects.filter(slot__gt=now - numbers.incident_worse_window, leg=key.leg.value)
    others = lately.exclude(Q(scope=key.scope) | Q(scope__startswith="ours:")).order_by()
    scopes = others.values_list("scope", flat=True).distinct()[: numbers.asks_other_providers]
    found: list[int] = []
    for scope in scopes:
        rows = mailboxes_of(key._replace(scope=scope)).filter(status=Status.CONNECTED)
        found += rows.values_list("id", flat=True)[: numbers.asks_mailboxes_of_each]
    return found


def held_by(key: Key) -> QuerySet[Mailbox]:
    """Return the mailboxes that stand as suspect for this class of cause. Of two failing legs a mailbox shows one:
    the leg is not asked for."""
    return mailboxes_of(key).filter(status=Status.SUSPECT, category__in=categories_of(key.failure_class))


def _held(key: Key) -> int:
    return 0 if key.is_ours else held_by(key).count()


def _population(key: Key) -> int:
    return 0 if key.is_ours else mailboxes_of(key).count()


# ---- keeping


def keep(changed: Sequence[Incident], now: datetime) -> None:
    """Write the incidents that changed. One that another worker began at the same moment is that worker's."""
    for one in changed:
        values = _values(one)
        active = IncidentRow.objects.filter(**_key_columns(one.key), phase__in=ACTIVE)
        if active.update(**values):
            if one.word is Word.BY_RULE:  # a person's word came first where there is one
                active.filter(word=Word.NONE.value).update(word=one.word.value, word_at=now)
            continue
        if one.phase is Phase.CLOSED:
            continue
        try:
            with transaction.atomic():
                IncidentRow.objects.create(**_key_columns(one.key), **values, **_described(one.key, one.started_at))
        except IntegrityError:
            continue


def _key_columns(key: Key) -> dict[str, str]:
    return {"scope": key.scope, "leg": key.leg.value, "failure_class": key.failure_class.value}


def _values(one: Incident) -> dict[str, Any]:
    return {
        "phase": one.phase.value,
        "ours": one.ours,
        "started_at": one.started_at,
        "changed_at": one.changed_at,
        "opened_at": one.opened_at,
        "recovering_at": one.recovering_at,
    }


def _described(key: Key, since: datetime) -> dict[str, Any]:
    rows = LoginSample.objects.filter(**_key_columns(key), at__gte=since)
    found = list(rows.order_by("at").values_list("mailbox_id", "group", "text")[:MOST_SAMPLES])
    texts = Counter(text for _mailbox, _group, text in found if text)
    return {
        "mailboxes": len({mailbox for mailbox, _group, _text in found}),
        "workspaces": len({group for _mailbox, group, _text in found}),
        "examples": [[text, times] for text, times in texts.most_common(MOST_EXAMPLES)],
    }


def describe(row: IncidentRow) -> None:
    """Say anew how many mailboxes an active incident is of."""
    key = key_of(row)
    found = _described(key, row.started_at)
    found["mailboxes"] = max(found["mailboxes"], row.mailboxes, _held(key))
    found["workspaces"] = max(found["workspaces"], row.workspaces)
    if not found["examples"]:
        del found["examples"]
    IncidentRow.objects.filter(pk=row.pk).update(**found)


def forget_worse(key: Key, since: datetime, until: datetime) -> None:
    """Drop what an incident broke from what is usual."""
    rows = LoginCount.objects.filter(**_key_columns(key), slot__gte=_slot(since), slot__lte=until)
    rows.filter(worse__gt=0).update(worse=0)


def active() -> list[IncidentRow]:
    """Return the incidents that are open now, the newest first."""
    return list(IncidentRow.objects.filter(phase=Phase.OPEN.value).filter(word__in=(Word.NONE.value, Word.HOLD.value)))
