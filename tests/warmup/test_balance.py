"""Each member receives about as many as it sends (W4): a week of a pool, decided by the code that pairs."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from mailboxes.models import Mailbox
from tests.make import START
from warmup.days import day_of
from warmup.models import Pool, PoolMember
from warmup.pairing import LEAST, Peer, choose

DAYS = 7
SENT_A_DAY = 10


class Week:
    """A pool in memory: who sent to whom. Each member's numbers are kept as the database keeps them."""

    def __init__(self, workspaces: list[int], quota: int = SENT_A_DAY) -> None:
        pool = Pool(pk=1, name="p", start=quota, step=1, ceiling=quota)
        self.members = [
            PoolMember(pk=at, pool=pool, mailbox=Mailbox(pk=at, workspace_id=space, address=f"m{at}@d{at}.test"))
            for at, space in enumerate(workspaces)
        ]
        self.sent: Counter[int] = Counter()
        self.received: Counter[int] = Counter()
        self.most_in_a_day = 0

    def run(self, days: int = DAYS) -> None:
        for day in range(days):
            now = START + timedelta(days=day)
            for _time in range(SENT_A_DAY):
                for sender in random.sample(self.members, len(self.members)):
                    self._turn(sender, now)
            self.most_in_a_day = max(
                self.most_in_a_day, *(max(one.sent_today, one.received_today) for one in self.members)
            )

    def _turn(self, sender: PoolMember, now: datetime) -> None:
        stretch = random.sample(self.members, min(4 + LEAST, len(self.members)))
        days = [day_of(one, (), now) for one in stretch]
        own = day_of(sender, (), now)
        peers = [Peer(day.member, day.room_to_receive, day.owed) for day in days if day.room_to_receive]
        found = choose([sender], peers).get(sender.pk) if own.room else None
        if found is not None:
            self.sent[sender.pk] += 1
            self.received[found.pk] += 1
            self._write(own.row(sent=1), sender)
            self._write(day_of(found, (), now).row(received=1), found)

    @staticmethod
    def _write(row: dict[str, object], member: PoolMember) -> None:
        for name, value in row.items():
            setattr(member, name, date.fromisoformat(str(value)) if name == "day" else value)

    def ratios(self) -> list[float]:
        return [self.received[one.pk] / max(1, self.sent[one.pk]) for one in self.members]


def test_w4_in_a_week_of_two_hundred_members_each_receives_about_what_it_sends() -> None:
    week = Week(list(range(200)))
    week.run()
    assert min(week.ratios()) >= 0.8 and max(week.ratios()) <= 1.25
    assert week.sent.total() >= 0.95 * 200 * DAYS * SENT_A_DAY
    assert week.most_in_a_day <= SENT_A_DAY


def test_w4_with_three_foreign_members_nobody_is_favoured_or_above_their_days_number() -> None:
    week = Week([1] * 197 + [2, 3, 4])
    week.run()
    assert week.most_in_a_day <= SENT_A_DAY
    foreign = week.ratios()[-3:]
    assert min(foreign) >= 0.8 and max(foreign) <= 1.25
    # The others share what the three send and take: so few each that a ratio says little.
    assert max(abs(week.sent[one.pk] - week.received[one.pk]) for one in week.members[:197]) <= 2


@pytest.mark.parametrize(("sent", "received", "owed"), [(4, 1, 3), (1, 4, -3), (0, 0, 0)])
def test_w4_what_a_member_is_owed_is_of_seven_days(sent: int, received: int, owed: int) -> None:
    pool = Pool(start=5, step=1, ceiling=30)
    member = PoolMember(pk=1, pool=pool, day=START.date(), sent_today=sent, received_today=received)
    assert [day_of(member, (), START + timedelta(days=days)).owed for days in (0, 6, 7)] == [owed, owed, 0]
