"""Incidents: when they begin, open, hold, close (SPEC H9), as values and against the database."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from mailboxes.health.failure_class import FailureClass
from mailboxes.health.incidents.deciding import holds_for, step
from mailboxes.health.incidents.ledger import Ledger
from mailboxes.health.incidents.store import DatabaseBook
from mailboxes.health.incidents.values import EGRESS, Counts, Incident, Key, Phase, Seen, Word
from mailboxes.health.thresholds import DEFAULT
from mailboxes.wire.values import Leg
from tests.make import START

KEY = Key("provider:example", Leg.SMTP, FailureClass.LOGIN)
OURS = Key(EGRESS, Leg.SMTP, FailureClass.NETWORK)
WAVE = Counts(failing=5, checked=20, worse=5, groups=3, domains=3, all_groups=9, first_failure_at=START)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def begin(counts: Counts, key: Key = KEY, before: Incident | None = None, **values: Any) -> Incident | None:
    return step(before, key, counts, at(2), DEFAULT, **values)


def opened(**values: Any) -> Incident:
    found = begin(WAVE)
    assert found is not None
    return replace(found, **values)


def test_h9_five_mailboxes_of_three_workspaces_open_an_incident_back_to_the_first_failure() -> None:
    found = begin(WAVE)
    assert found is not None
    assert (found.phase, found.started_at, found.opened_at) == (Phase.OPEN, START, at(2))


@pytest.mark.parametrize(
    "counts",
    [
        replace(WAVE, failing=4, worse=4),  # too few
        replace(WAVE, checked=26, worse=4),  # less than a fifth of those checked
        replace(WAVE, failing=0, usual_worse=2),  # as many break at this hour on other days
    ],
)
def test_h9_what_is_too_little_is_at_most_a_candidate(counts: Counts) -> None:
    found = begin(counts)
    assert found is None or found.phase is Phase.CANDIDATE


@pytest.mark.parametrize(
    "counts",
    [
        replace(WAVE, groups=1, domains=1),  # one workspace's own matter
        replace(WAVE, groups=2, domains=2),
        replace(WAVE, domains=1, others_pass=True),  # one mail domain's own matter
    ],
)
def test_h9_a_wave_of_one_workspace_or_mail_domain_is_no_incident(counts: Counts) -> None:
    assert begin(counts) is None


def test_h9_where_fewer_workspaces_live_three_mail_domains_do() -> None:
    found = begin(replace(WAVE, groups=2, domains=3, all_groups=2))
    assert found is not None and found.phase is Phase.OPEN


def test_h9_half_the_numbers_make_a_candidate_which_ends_after_ten_minutes() -> None:
    half = Counts(failing=3, checked=20, groups=3, domains=3, all_groups=9, first_failure_at=START)
    found = begin(half)
    assert found is not None and found.phase is Phase.CANDIDATE
    assert step(found, KEY, Counts(), at(11.9), DEFAULT) == found
    ended = step(found, KEY, Counts(), at(12), DEFAULT)
    assert ended is not None and (ended.phase, ended.opened_at) == (Phase.CLOSED, None)


def test_h9_a_candidate_that_dissolved_does_not_hold_again_at_once() -> None:
    half = Counts(failing=3, checked=20, groups=3, domains=3, all_groups=9, first_failure_at=START)
    ended = Incident(KEY, Phase.CLOSED, START, at(1))
    assert begin(half, before=ended) == ended
    again = begin(WAVE, before=ended)
    assert again is not None and again.phase is Phase.OPEN


def test_h9_a_second_wave_within_a_day_reopens_it_at_half_the_numbers() -> None:
    half = Counts(failing=3, checked=20, groups=3, domains=3, all_groups=9, first_failure_at=at(1))
    ended = Incident(KEY, Phase.CLOSED, at(-300), at(-240), opened_at=at(-299))
    found = begin(half, before=ended)
    assert found is not None and (found.phase, found.started_at) == (Phase.OPEN, at(1))
    long_ago = replace(ended, changed_at=at(-1500))
    found = begin(half, before=long_ago)
    assert found is not None and found.phase is Phase.CANDIDATE


def test_h9_it_closes_when_fewer_than_five_in_a_hundred_fail_for_ten_minutes() -> None:
    quiet = Counts(lately_failed=4, lately_tried=100, held=4, population=100)
    assert step(opened(), KEY, quiet, at(11.9), DEFAULT) == opened()  # ten minutes are not over
    ended = step(opened(), KEY, quiet, at(12), DEFAULT)
    assert ended is not None and ended.phase is Phase.CLOSED


@pytest.mark.parametrize(
    "counts",
    [
        Counts(lately_failed=5, lately_tried=100, held=0, population=100),
        Counts(lately_failed=0, lately_tried=100, held=5, population=100),  # held ones are tried rarely
        Counts(),  # nothing was tried: nothing is known
    ],
)
def test_h9_it_stays_open_while_others_fail_or_nobody_knows(counts: Counts) -> None:
    after = step(opened(), KEY, counts, at(60), DEFAULT)
    assert after is not None and after.phase is Phase.OPEN


def test_h9_a_person_holds_it_open() -> None:
    quiet = Counts(lately_tried=100, population=100)
    held = opened(word=Word.HOLD)
    assert step(held, KEY, quiet, at(60), DEFAULT) == held


LONG = Counts(lately_failed=300, lately_tried=2000, held=30, population=2000)


def test_h9_after_a_day_those_that_still_fail_are_released_where_nearly_all_others_pass() -> None:
    counts = replace(LONG, others_tried=1000, others_failed=10)
    found = step(opened(), KEY, counts, at(24 * 60 + 5), DEFAULT)
    assert found is not None and (found.phase, found.word) == (Phase.OPEN, Word.BY_RULE)


@pytest.mark.parametrize(
    ("minutes", "failed", "tried"), [(23 * 60, 10, 1000), (25 * 60, 60, 1000), (25 * 60, 0, 3)], ids=str
)
def test_h9_they_stay_held_before_a_day_while_others_fail_or_where_too_few_are_tried(
    minutes: float, failed: int, tried: int
) -> None:
    found = step(opened(), KEY, replace(LONG, others_tried=tried, others_failed=failed), at(minutes), DEFAULT)
    assert found is not None and found.word is Word.NONE


def test_h9_a_persons_hold_is_not_released_by_the_rule_of_a_day() -> None:
    counts = replace(LONG, others_tried=1000, others_failed=10)
    found = step(replace(opened(), word=Word.HOLD), KEY, counts, at(25 * 60), DEFAULT)
    assert found is not None and found.word is Word.HOLD


@pytest.mark.parametrize("word", [Word.RELEASE, Word.REAL, Word.BY_RULE])
def test_h9_released_or_real_it_holds_nothing(word: Word) -> None:
    scopes = {Leg.SMTP: KEY.scope}
    assert len(holds_for([opened()], scopes, at(3), DEFAULT)) == 1
    assert not opened(word=word).is_active


def test_h9_it_holds_the_mailboxes_of_its_scope_and_leg_alone() -> None:
    assert holds_for([opened()], {Leg.SMTP: "provider:other", Leg.IMAP: KEY.scope}, at(3), DEFAULT) == ()


def test_h9_our_own_way_out_is_suspected_when_half_of_what_several_providers_answer_is_silence() -> None:
    cut = Counts(failing=5, checked=10, groups=3, first_failure_at=START)
    found = begin(cut, OURS)
    assert found is not None and (found.phase, found.ours) == (Phase.OPEN, True)
    one_provider = replace(cut, groups=1, domains=5, all_groups=1)
    assert begin(one_provider, OURS) is None
    some = replace(cut, checked=40)
    assert begin(some, OURS) is None


def test_h9_a_wave_that_begins_with_a_version_of_ours_is_ours() -> None:
    found = begin(WAVE, new_version=True)
    assert found is not None and found.ours


# ---- the database counts as the ledger does


def stream(seed: int, groups: int = 9) -> list[Seen]:
    dice = random.Random(seed)
    found = []
    for second in sorted(dice.randrange(0, 840) for _ in range(160)):
        number = dice.randrange(60)
        failed = dice.random() < 0.4
        found.append(
            Seen(
                scope=KEY.scope,
                leg=KEY.leg,
                at=START + timedelta(seconds=second),
                mailbox_id=number,
                group=str(number % groups),
                domain=f"d{number % 20}.test",
                failure_class=FailureClass.LOGIN if failed else None,
                worse=failed and dice.random() < 0.5,
                again=dice.random() < 0.3,
            )
        )
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(5))
def test_h9_the_database_counts_what_the_ledger_counts(seed: int) -> None:
    ledger, book = Ledger(DEFAULT), DatabaseBook(DEFAULT, set())
    seen = stream(seed)
    ledger.add(seen)
    for first in range(0, len(seen), 7):
        book.add(seen[first : first + 7])
    now = START + timedelta(minutes=14)  # on a slot's edge: halves are counted whole there
    book.prepare([KEY], now)
    ours, theirs = ledger.counts(KEY, now), book.counts(KEY, now)
    exact = ("failing", "worse", "groups", "domains", "first_failure_at", "usual_worse")
    assert {name: getattr(theirs, name) for name in exact} == {name: getattr(ours, name) for name in exact}
    for name in ("checked", "lately_failed", "lately_tried", "recovered", "still_failing"):
        # A mailbox that failed twice in the window is one in the ledger, and a half slot counts whole in the database.
        assert getattr(ours, name) <= getattr(theirs, name) <= getattr(ours, name) + 12


@pytest.mark.django_db
def test_h9_two_workers_counting_at_once_add_up() -> None:
    seen = stream(1)
    for half in (seen[::2], seen[1::2]):
        DatabaseBook(DEFAULT, set()).add(half)
    book = DatabaseBook(DEFAULT, set())
    book.prepare([KEY], at(14))
    assert book.counts(KEY, at(14)).lately_tried >= sum(one.at > at(4) for one in seen)
