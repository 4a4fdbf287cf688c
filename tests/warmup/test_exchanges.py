"""Who writes to whom, how much, and what a break changes (W1 to W4). The database, and no network."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from mailboxes.health.holds import hold, release
from mailboxes.health.record import record
from mailboxes.models import InboxState, InMessage, Mailbox, OutMessage, Pace, Workspace
from mailboxes.outbox import claim, settling
from mailboxes.states import Status
from mailboxes.wire.letters import Delivery, Fate
from mailboxes.wire.values import Leg, Report, Stage, Step
from tests.make import IMAP_REFUSED, START, confirm, evidence, make_mailbox, make_workspace
from warmup import pairing
from warmup.choosing import choose, today
from warmup.models import Exchange, Pool, PoolMember
from warmup.taking import take

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
SENT = Delivery(Fate.SENT, Report(Leg.SMTP, (Step(Stage.DATA, True, 1),)))


def members(pool: Pool, amount: int, workspace: Workspace | None = None) -> list[PoolMember]:
    """Connected mailboxes, read all the time, each of a workspace of its own where none is given."""
    made = []
    for _number in range(amount):
        mailbox = make_mailbox(workspace=workspace or make_workspace())
        made.append(PoolMember.objects.create(pool=pool, mailbox=mailbox, next_at=START))
    record([evidence(one.mailbox, leg) for one in made for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    return made


def turn(now: datetime) -> int:
    """Choose, and send without a server."""
    InboxState.objects.update(complete_at=now)
    chosen = choose(500, now)
    lease, rows = claim.claim(500, now)
    claim.hand_over([row.pk for row in rows], lease, now)
    settling.write([(row, settling.settle(row, SENT, None, now)) for row in rows], now)
    take(now)
    return chosen


def test_w1_a_day_brings_what_the_ramp_allows_and_the_next_day_more() -> None:
    pool = Pool.objects.create(name="p", start=5, step=2, ceiling=30)
    members(pool, 4)
    sent = [sum(turn(START.replace(hour=0) + day * DAY + 5 * n * MINUTE) for n in range(288)) for day in (1, 2, 3)]
    # The last one of a day may find only itself with room left.
    assert all(allowed - 2 <= found <= allowed for found, allowed in zip(sent, (20, 28, 36), strict=True))


def test_w4_no_peer_is_of_the_same_workspace_where_others_exist() -> None:
    pool, ours = Pool.objects.create(name="p", start=10), make_workspace()
    members(pool, 3, ours)
    members(pool, 1)
    for number in range(60):
        turn(START + 20 * number * MINUTE)
    inside = Exchange.objects.filter(sender__mailbox__workspace=F("receiver__mailbox__workspace"))
    assert Exchange.objects.exists() and not inside.exists()


def test_w4_a_pool_of_one_workspace_exchanges_all_the_same() -> None:
    pool = Pool.objects.create(name="p")
    members(pool, 2, make_workspace())
    assert turn(START) == 2


def test_w4_no_peer_gets_more_than_its_own_daily_limit() -> None:
    pool = Pool.objects.create(name="p", start=5, ceiling=5)
    members(pool, 6, make_workspace())
    [alone] = members(pool, 1)
    day = START.replace(hour=0) + DAY
    for number in range(288):
        turn(day + 5 * number * MINUTE)
    received = Counter(Exchange.objects.values_list("receiver", flat=True))
    assert max(received.values()) == received[alone.pk] == 5


def test_w4_peers_are_chosen_at_random_and_nobody_writes_to_themselves() -> None:
    pool = Pool.objects.create(name="p")
    made = members(pool, 30)
    PoolMember.objects.exclude(pk=made[0].pk).update(next_at=START + 900 * DAY)
    for number in range(300):
        PoolMember.objects.filter(pk=made[0].pk).update(next_at=START, sent_today=0)
        Pace.objects.update(next_send_at=START)
        PoolMember.objects.update(received_today=0)
        turn(START + number * MINUTE / 10)
    counts = Counter(Exchange.objects.values_list("receiver", flat=True))
    assert made[0].pk not in counts and len(counts) > 20 and max(counts.values()) < 60


def test_w2_a_broken_mailbox_writes_to_nobody_and_nobody_to_it() -> None:
    pool = Pool.objects.create(name="p", start=10)
    broken, *others = members(pool, 3)
    choose(500, START)
    later = START + MINUTE
    record([evidence(broken.mailbox, Leg.IMAP, IMAP_REFUSED, at=later)], now=later)
    before = Exchange.objects.count()
    for number in range(40):
        turn(later + 15 * number * MINUTE)
    after = Exchange.objects.order_by("id")[before:]
    assert after and broken.pk not in {key for one in after for key in (one.sender_id, one.receiver_id)}
    assert not OutMessage.objects.filter(state="sent", mailbox=broken.mailbox).exists()
    assert not OutMessage.objects.filter(state="sent", peer=broken.mailbox).exists()
    assert {one.pk for one in others} <= {one.sender_id for one in after}


def test_w2_what_never_went_out_counts_for_nobody() -> None:
    pool = Pool.objects.create(name="p")
    one, other = members(pool, 2)
    PoolMember.objects.filter(pk=other.pk).update(next_at=START + DAY)
    InboxState.objects.update(complete_at=START)
    assert choose(10, START) == 1
    later = START + MINUTE
    record([evidence(other.mailbox, Leg.IMAP, IMAP_REFUSED, at=later)], now=later)
    turn(later)
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.sent_today, other.received_today) == (0, 0)
    assert (Exchange.objects.get().failed, OutMessage.objects.get().state) == ("It was not sent.", "cancelled")


@pytest.mark.parametrize(("gap_days", "allowed"), [(3, 20), (10, 10), (30, 5)])
def test_w3_a_mailbox_comes_back_at_the_pace_of_its_gap(gap_days: int, allowed: int) -> None:
    pool = Pool.objects.create(name="p", start=10, step=1, ceiling=20)
    returned, *_others = members(pool, 12)
    PoolMember.objects.filter(pk=returned.pk).update(days_sent=50)
    PoolMember.objects.exclude(pk=returned.pk).update(next_at=START + 900 * DAY)
    broken = START + MINUTE
    record([evidence(returned.mailbox, Leg.IMAP, IMAP_REFUSED, at=broken)], now=broken)
    back = (START + gap_days * DAY).replace(hour=0, minute=5)
    record([evidence(returned.mailbox, leg, at=back, begun=back) for leg in (Leg.SMTP, Leg.IMAP)], now=back)
    assert Mailbox.objects.get(pk=returned.mailbox_id).status == Status.CONNECTED
    sent = sum(turn(back + 5 * number * MINUTE) for number in range(280))
    assert allowed <= sent <= allowed * 1.2 + 1


def returned_after(days: int, pool: Pool) -> tuple[PoolMember, datetime]:
    """A member at its ceiling whose mailbox was broken for so long, and when it came back."""
    member, *_others = members(pool, 12)
    PoolMember.objects.filter(pk=member.pk).update(days_sent=50)
    broken, back = START + MINUTE, START + days * DAY
    record([evidence(member.mailbox, Leg.IMAP, IMAP_REFUSED, at=broken)], now=broken)
    record([evidence(member.mailbox, leg, at=back, begun=back) for leg in (Leg.SMTP, Leg.IMAP)], now=back)
    return PoolMember.objects.select_related("pool", "mailbox").get(pk=member.pk), back


def allowed(member: PoolMember, at: datetime) -> int:
    return today([member], at)[member.pk][1]


def test_w3_a_short_break_on_the_way_up_forgets_nothing_of_the_climb() -> None:
    member, back = returned_after(20, Pool.objects.create(name="p", start=10, ceiling=40))
    broken, again = back + DAY, back + DAY + 2 * MINUTE
    assert allowed(member, broken) == 14  # a quarter and a seventh of the way
    record([evidence(member.mailbox, Leg.IMAP, IMAP_REFUSED, at=broken)], now=broken)
    record([evidence(member.mailbox, leg, at=again, begun=again) for leg in (Leg.SMTP, Leg.IMAP)], now=again)
    assert allowed(member, again + MINUTE) == 14
    assert allowed(member, back + 7 * DAY) == 40


def test_w3_a_persons_long_pause_is_a_gap_and_a_short_one_after_it_changes_nothing() -> None:
    member, *_others = members(Pool.objects.create(name="p", start=10, ceiling=40), 3)
    PoolMember.objects.filter(pk=member.pk).update(days_sent=50)
    member = PoolMember.objects.select_related("pool", "mailbox").get(pk=member.pk)
    back = START + 20 * DAY
    for begins, ends in ((START, back), (back + MINUTE, back + 2 * MINUTE)):
        hold([member.mailbox_id], reason="holiday", acting_user=None, now=begins)
        release([member.mailbox_id], acting_user=None, now=ends)
    assert (allowed(member, back + 3 * MINUTE), allowed(member, back + 8 * DAY)) == (10, 40)


def test_w4_a_returning_member_takes_no_more_than_it_may_send_today() -> None:
    pool = Pool.objects.create(name="p", start=10, ceiling=40)
    member, back = returned_after(20, pool)
    PoolMember.objects.exclude(pk=member.pk).update(days_sent=50, next_at=back)
    InboxState.objects.update(complete_at=back)
    day = back.replace(hour=0) + DAY
    for number in range(60):
        turn(day + timedelta(hours=7) + 10 * number * MINUTE)
    received = Exchange.objects.filter(receiver=member, is_answer=False).count()
    assert 1 <= received <= allowed(member, day + timedelta(hours=20)) < 20


def test_w2_a_message_under_way_when_its_peer_breaks_is_no_bounce_against_anyone() -> None:
    pool = Pool.objects.create(name="p")
    one, other = members(pool, 2)
    PoolMember.objects.filter(pk=other.pk).update(next_at=START + DAY)
    turn(START)
    InMessage.objects.create(
        mailbox=one.mailbox, identity="1", kind="bounce", role="inbox", uid=1, thread="t", arrived_at=START,
        answers=OutMessage.objects.get(), waits_for="warmup", bounce_outcome="failed", bounce_status="5.1.1",
        bounce_text="550 5.1.1 no such user",
    )  # fmt: skip
    take(START)
    assert Exchange.objects.get().failed == "550 5.1.1 no such user"
    assert (OutMessage.objects.get().bounced_at, Mailbox.objects.get(pk=one.mailbox_id).risk_until) == (None, None)


def test_w4_choosing_costs_the_same_queries_in_a_small_and_in_a_large_pool() -> None:
    counts = []
    for amount in (10, 1000):
        pool = Pool.objects.create(name=f"pool {amount}")
        people = Workspace.objects.bulk_create(Workspace(name=f"w{amount}-{n}") for n in range(5))
        made = Mailbox.objects.bulk_create(
            Mailbox(workspace=people[n % 5], address=f"{n}@x{amount}.test", status="connected", status_since=START)
            for n in range(amount)
        )
        confirm(*made)
        InboxState.objects.bulk_create(InboxState(mailbox=one, complete_at=START) for one in made)
        Pace.objects.bulk_create(Pace(mailbox=one, next_send_at=START) for one in made)
        PoolMember.objects.bulk_create(
            PoolMember(pool=pool, mailbox=one, next_at=START if n < 10 else START + DAY) for n, one in enumerate(made)
        )
        with CaptureQueriesContext(connection) as queries:
            assert choose(500, START) == 10
        counts.append(len(queries))
    assert counts[1] <= counts[0], "a stretch of the small pool goes round its end: one query more"


def test_w4_a_stretch_goes_round_the_end_of_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool.objects.create(name="p")
    made = members(pool, 5)
    InboxState.objects.update(complete_at=START)
    monkeypatch.setattr(pairing, "random_key", lambda: max(one.key for one in made))
    found = pairing._stretch(pool, 5, START)
    assert {peer.member.pk for peer in found} == {one.pk for one in made}
