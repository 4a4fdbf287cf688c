"""Which legs a due check logs in to: what `schedule` says of the mailboxes of a batch (SPEC H4, X3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mailboxes.health.incidents import store
from mailboxes.health.incidents.board import Board
from mailboxes.health.incidents.deciding import holds_for
from mailboxes.health.legs import unpack
from mailboxes.health.policy import LegState
from mailboxes.health.schedule import Round, legs_to_try
from mailboxes.health.snapshots import scope_of
from mailboxes.health.targets import Subject
from mailboxes.models import CheckState
from mailboxes.wire.values import Leg

_COLUMNS = {
    "smtp": "smtp",
    "imap": "imap",
    "oauth": "oauth",
    "provider": "mailbox__provider",
    "smtp_host": "mailbox__smtp_host",
    "imap_host": "mailbox__imap_host",
    "credential__oauth_client__name": "mailbox__credential__oauth_client__name",
}


def pick_legs(subjects: Sequence[Subject], now: datetime) -> list[Subject]:
    """Return the subjects with the legs that are due now. Two queries for all of them."""
    board = store.open_board(now)
    rows = CheckState.objects.filter(mailbox_id__in=[one.mailbox_id for one in subjects])
    found = {row["mailbox_id"]: row for row in rows.values("mailbox_id", *_COLUMNS.values())}
    return [_picked(one, found.get(one.mailbox_id), board, now) for one in subjects]


def _picked(subject: Subject, stored: Mapping[str, Any] | None, board: Board, now: datetime) -> Subject:
    if stored is None:
        return subject
    row = {name: stored[path] for name, path in _COLUMNS.items()}
    legs = {leg: unpack(row[leg.value]) for leg in _wanted(subject)}
    scopes = {leg: scope_of(leg, row) for leg in legs}
    at = Round(
        now=now,
        mailbox_id=subject.mailbox_id,
        one_login=subject.one_login,
        holds=holds_for(board.active, scopes, now, board.numbers),
        numbers=board.numbers,
    )
    return _with_legs(subject, legs, legs_to_try(legs, at))


def _wanted(subject: Subject) -> list[Leg]:
    wanted = {Leg.SMTP: subject.smtp, Leg.IMAP: subject.imap, Leg.OAUTH: subject.grant}
    return [leg for leg, is_wanted in wanted.items() if is_wanted is not None]


def _with_legs(subject: Subject, legs: Mapping[Leg, LegState], tried: frozenset[Leg]) -> Subject:
    return replace(
        subject,
        smtp=subject.smtp if Leg.SMTP in tried else None,
        imap=subject.imap if Leg.IMAP in tried else None,
        # The other leg is asked whether the secret is wrong: where both say so, no third login is needed.
        one_refusal_is_enough=len(tried) > 1 and any(legs[leg].is_refused for leg in tried),
    )
