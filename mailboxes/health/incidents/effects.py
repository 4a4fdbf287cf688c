"""What follows from an incident: checks pulled forward, mailboxes decided anew, held ones tried again (SPEC H9)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction

from mailboxes.health import alarms
from mailboxes.health.decide import reconsider
from mailboxes.health.incidents import store
from mailboxes.health.incidents.board import Board
from mailboxes.health.incidents.deciding import holds_for, released_at
from mailboxes.health.incidents.values import MAYBE_OURS, Incident, Key, Phase, Word
from mailboxes.health.saving import save
from mailboxes.health.snapshots import load
from mailboxes.models import AuditEntry, CheckState, StatusChange
from mailboxes.models import Incident as IncidentRow
from mailboxes.models.incident import ACTIVE
from mailboxes.models.sets import update_rows
from mailboxes.states import Status

CHUNK = 500
_BROKEN = (Status.ERROR.value, Status.NEEDS_REAUTH.value)


def follow(changed: Sequence[Incident], board: Board, now: datetime) -> None:
    """Do what these changes call for, inside the caller's transaction."""
    for incident in changed:
        is_open = incident.phase is Phase.OPEN
        if is_open and (incident.recovering_at == now or incident.word is Word.BY_RULE):
            _try_again(incident.key, board, now)
        elif incident.phase is Phase.CANDIDATE:
            _pull_forward(incident.key, board, now)
            _ask_others(incident.key, board, now)
        elif is_open:
            _open(incident, board, now)
            _ask_others(incident.key, board, now)
        else:
            _close(incident, board, now)


def _pull_forward(key: Key, board: Board, now: datetime) -> None:
    others = store.mailboxes_of(key).filter(status=Status.CONNECTED, check_state__next_check_at__gt=now)
    ids = list(others.values_list("id", flat=True)[: board.numbers.candidate_pulls_forward])
    CheckState.objects.filter(mailbox_id__in=ids).update(next_check_at=now)


def _ask_others(key: Key, board: Board, now: datetime) -> None:
    """Whether it is our own fault: a few mailboxes of other providers say so, before anybody's second failure."""
    if key.is_ours or key.failure_class not in MAYBE_OURS:
        return
    ids = store.mailboxes_of_others(key, now, board.numbers)
    CheckState.objects.filter(mailbox_id__in=ids, next_check_at__gt=now).update(next_check_at=now)


def _open(incident: Incident, board: Board, now: datetime) -> None:
    """Those that it explains and that were flagged lately return to suspect."""
    since = incident.started_at - board.numbers.incident_looks_back
    rows = StatusChange.objects.filter(at__gte=since, leg=incident.key.leg.value, to_status__in=_BROKEN)
    ids = set(rows.values_list("mailbox_id", flat=True))
    _reconsider(store.mailboxes_of(incident.key).filter(id__in=ids).values_list("id", flat=True), board, now)
    if incident.ours:
        alarms.open_alarm(alarms.OURS, _alarm_key(incident.key), _our_fault(incident), 1, now)


def _alarm_key(key: Key) -> str:
    """Both legs leave by our one way out; a version of ours may break either."""
    return key.scope if key.is_ours else f"{key.scope} {key.leg.value} {key.failure_class.value}"[: alarms.KEY_CHARS]


def _our_fault(incident: Incident) -> str:
    since = f"Since {incident.started_at:%H:%M} UTC"
    if incident.key.is_ours:
        return f"{since} what we send finds no answer: {incident.key.scope}."
    return (
        f"{since} mailboxes fail alike ({incident.key.scope}), right after a new version of ours began. No mailbox is "
        "moved for it. Look at what changed, or go back to the version before; if the provider is at fault, release it."
    )


def _close(incident: Incident, board: Board, now: datetime) -> None:
    store.forget_worse(incident.key, incident.started_at, now)
    _try_again(incident.key, board, now)
    if incident.ours:
        alarms.close_alarm(alarms.OURS, _alarm_key(incident.key), now)


def _try_again(key: Key, board: Board, now: datetime) -> None:
    """The spread-out queue: each held mailbox is due once within minutes."""
    ids = list(store.held_by(key).values_list("id", flat=True))
    for at in range(0, len(ids), CHUNK):
        rows = [
            {"pk": one, "next_check_at": released_at(_place(one, now), now, board.numbers)} for one in ids[at:][:CHUNK]
        ]
        update_rows(CheckState, rows)


def _place(mailbox_id: int, now: datetime) -> float:
    return zlib.crc32(f"{mailbox_id}:{now.timestamp():.0f}".encode()) / 0xFFFFFFFF


def _reconsider(ids: Iterable[int], board: Board, now: datetime, *, by_word: bool = False) -> None:
    wanted = sorted(ids)
    for at in range(0, len(wanted), CHUNK):
        found = load(wanted[at : at + CHUNK]).values()
        active, numbers = board.active, board.numbers
        save(
            [
                reconsider(
                    one, now, holds=holds_for(active, one.scopes, now, numbers), numbers=numbers, by_word=by_word
                )
                for one in found
            ],
            now,
        )


@transaction.atomic
def look(now: datetime) -> int:
    """Step every active incident: candidates and quiet incidents end by the clock. Returns how many changed."""
    _flag_waiting(now)
    alarms.close_quiet(now)
    rows = list(IncidentRow.objects.select_for_update(skip_locked=True).filter(phase__in=ACTIVE))
    if not rows:
        return 0
    board = store.open_board(now)
    keys = [store.key_of(row) for row in rows]
    changed = board.look_at(keys, now)
    store.keep(changed, now)
    follow(changed, board, now)
    for row in rows:
        store.describe(row)
    _tell_of_long_ones(rows, board, now)
    return len(changed)


def _flag_waiting(now: datetime) -> None:
    """Those whose flag waits for room under the cap, the first ones first."""
    ids = list(
        CheckState.objects.filter(flag_waits=True).order_by("mailbox_id").values_list("mailbox_id", flat=True)[:CHUNK]
    )
    if ids:
        save(store.open_board(now).decide_waiting(load(ids).values(), now), now)


def _tell_of_long_ones(rows: Sequence[IncidentRow], board: Board, now: datetime) -> None:
    """Over a day: staff are told, and say whether it is real after all."""
    for row in rows:
        is_long = row.opened_at is not None and now - row.opened_at >= board.numbers.incident_long
        if is_long and row.told_at is None:
            text = f"{row.mailboxes} mailboxes are held for over a day. Hold on, release them, or say that it is real. "
            text += "Where nearly all others of the provider pass, they are checked one by one by themselves."
            alarms.open_alarm(alarms.LONG_INCIDENT, str(row)[:100], text, 1, now)
            IncidentRow.objects.filter(pk=row.pk).update(told_at=now)


@transaction.atomic
def say(row: IncidentRow, word: Word, *, acting_user_id: int | None, now: datetime) -> None:
    """Take a person's word of an incident: hold it, release its mailboxes, or flag them now (H9)."""
    IncidentRow.objects.filter(pk=row.pk).update(word=word.value, word_at=now, word_by_id=acting_user_id)
    AuditEntry.objects.create(actor_id=acting_user_id, action=f"incident: {word.value}", detail=str(row)[:200], at=now)
    board = store.open_board(now)
    key = store.key_of(row)
    if word is Word.REAL:
        _reconsider(store.held_by(key).values_list("id", flat=True), board, now, by_word=True)
    if word in (Word.REAL, Word.RELEASE):
        _try_again(key, board, now)
