"""The daily limit holds for answers too; nobody writes to themselves; pairing costs the same (W1, W4)."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.health.record import record
from mailboxes.models import InboxState, InMessage, Mailbox, OutMessage, Pace, Workspace
from mailboxes.wire.values import Leg
from tests.make import START, confirm, evidence, make_mailbox, make_workspace
from tests.warmup.test_exchanges import DAY, MINUTE, members, turn
from warmup import days, pairing
from warmup.accounts import canonical
from warmup.choosing import choose
from warmup.models import Exchange, Pool, PoolMember
from warmup.taking import take

pytestmark = pytest.mark.django_db
_numbers = count(1)


def find(exchange: Exchange, now: datetime) -> None:
    """The message is found by its receiver."""
    out = exchange.out
    InMessage.objects.create(
        mailbox=exchange.receiver.mailbox, identity=f"found {next(_numbers)}", kind="warmup", role="inbox", uid=1,
        thread=out.thread, message_id=out.message_id, arrived_at=now, waits_for="warmup",
    )  # fmt: skip


def written(sender: PoolMember, receiver: PoolMember, now: datetime) -> Exchange:
    """A first message that went out."""
    number = next(_numbers)
    out = OutMessage.objects.create(
        mailbox=sender.mailbox, peer=receiver.mailbox, purpose="warmup", recipient=receiver.mailbox.address,
        subject="s", body="b", thread=f"<{number}@x>", message_id=f"<{number}@x>", state="sent", sent_at=now,
        created_at=now,
    )  # fmt: skip
    return Exchange.objects.create(out=out, sender=sender, receiver=receiver, made_at=now, settled=True)


def pool_of(amount: int, **values: Any) -> list[PoolMember]:
    values = {"name": f"pool {next(_numbers)}", "start": 5, "ceiling": 5, "answered_percent": 100} | values
    return members(Pool.objects.create(**values), amount)


def stand(member: PoolMember, **values: Any) -> None:
    PoolMember.objects.filter(pk=member.pk).update(**values)


def test_code7_six_found_at_once_get_as_many_answers_as_the_day_has_room_for() -> None:
    receiver, *senders = pool_of(7)
    stand(receiver, day=START.date(), sent_today=4)
    for sender in senders:
        find(written(sender, receiver, START), START)
    take(START)
    receiver.refresh_from_db()
    assert (Exchange.objects.filter(is_answer=True).count(), receiver.sent_today) == (1, 5)
    assert Exchange.objects.filter(answered=True).count() == 1


def test_code7_each_answer_counts() -> None:
    receiver, *senders = pool_of(4)
    for sender in senders:
        find(written(sender, receiver, START), START)
    take(START)
    receiver.refresh_from_db()
    assert (receiver.sent_today, receiver.day) == (3, START.date())


def test_code7_yesterdays_full_number_leaves_todays_room_and_is_a_day_of_the_ramp() -> None:
    receiver, sender = pool_of(2)
    stand(receiver, day=(START - DAY).date(), sent_today=5, received_today=5, days_sent=3)
    find(written(sender, receiver, START), START)
    take(START)
    receiver.refresh_from_db()
    assert (receiver.sent_today, receiver.received_today, receiver.days_sent) == (1, 0, 4)
    assert receiver.day == START.date()


def test_code7_what_never_went_out_is_taken_off_the_day_on_which_it_was_counted_and_no_other() -> None:
    receiver, *senders = pool_of(4)
    lost = [written(receiver, sender, START - DAY) for sender in senders[:2]] + [written(receiver, senders[2], START)]
    OutMessage.objects.update(state="expired")
    Exchange.objects.filter(pk__in=[one.pk for one in lost]).update(settled=False)
    stand(receiver, day=START.date(), sent_today=4)
    for sender in senders:
        stand(sender, day=START.date(), received_today=2)
    take(START)
    receiver.refresh_from_db()
    assert receiver.sent_today == 3
    assert [PoolMember.objects.get(pk=one.pk).received_today for one in senders] == [2, 2, 1]


def test_code7_two_lost_ones_of_one_member_count_as_two() -> None:
    receiver, *senders = pool_of(3)
    for sender in senders:
        written(receiver, sender, START)
    OutMessage.objects.update(state="expired")
    Exchange.objects.update(settled=False)
    stand(receiver, day=START.date(), sent_today=3)
    take(START)
    receiver.refresh_from_db()
    assert receiver.sent_today == 1


def test_code7_w4_no_member_sends_more_than_its_daily_limit_where_all_is_found_and_answered() -> None:
    pool_of(6)
    day = START.replace(hour=0) + DAY
    for number in range(0, 288, 2):
        now = day + 5 * number * MINUTE
        turn(now)
        for one in Exchange.objects.filter(found__isnull=True, out__state="sent").select_related("out", "receiver"):
            find(one, now)
        take(now)
    made = Exchange.objects.filter(made_at__gte=day)
    assert made.filter(is_answer=True).exists()
    sent = {one: made.filter(sender=one).count() for one in PoolMember.objects.values_list("pk", flat=True)}
    received = {one: made.filter(receiver=one, is_answer=False).count() for one in sent}
    assert max(sent.values()) <= 5 and max(received.values()) <= 5
    assert sent == dict(PoolMember.objects.values_list("pk", "sent_today"))


def test_code7_a_place_is_judged_and_counted_on_the_locked_row() -> None:
    [receiver] = pool_of(1)
    stale = PoolMember.objects.get(pk=receiver.pk)
    assert days.grant({receiver.pk: 3}, START) == {receiver.pk: 3}
    assert stale.sent_today == 0
    assert days.grant({receiver.pk: 3}, START) == {receiver.pk: 2}
    assert days.grant({receiver.pk: 1}, START) == {receiver.pk: 0}
    assert PoolMember.objects.get(pk=receiver.pk).sent_today == 5


# ---- never oneself


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"address": "a@x.test"}, {"address": "A@X.test"}),
        ({"address": "a.b@gmail.com"}, {"address": "ab+news@googlemail.com"}),
        ({"address": "a@bücher.test"}, {"address": "a@xn--bcher-kva.test"}),
        (
            {"address": "a@x.test", "imap_username": "Login@x.test"},
            {"address": "alias@x.test", "imap_username": "login@x.test"},
        ),
    ],
)
@pytest.mark.parametrize("third", [False, True])
def test_hlt9_nobody_writes_to_an_account_of_their_own(one: dict[str, str], other: dict[str, str], third: bool) -> None:
    pool = Pool.objects.create(name="p", start=10)
    made = [
        PoolMember.objects.create(pool=pool, mailbox=make_mailbox(workspace=make_workspace(), **values), next_at=START)
        for values in (one, other)
    ]
    record([evidence(each.mailbox, leg) for each in made for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    if third:
        members(pool, 1)
    for number in range(30):
        turn(START + 20 * number * MINUTE)
    pairs = set(Exchange.objects.values_list("sender", "receiver"))
    own = {member.pk for member in made}
    assert not [pair for pair in pairs if set(pair) <= own]
    assert bool(pairs) is third


def test_hlt9_an_old_message_to_oneself_is_not_answered() -> None:
    one, other = pool_of(2)
    Mailbox.objects.filter(pk=other.mailbox_id).update(address=one.mailbox.address.upper())
    find(written(one, other, START), START)
    take(START)
    assert not Exchange.objects.filter(is_answer=True).exists()


@given(st.text(max_size=40))
def test_hlt9_any_text_has_one_canonical_spelling(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


# ---- cost


@pytest.mark.parametrize("workspaces", [1, 3])
def test_code11_pairing_costs_the_same_queries_for_any_number_of_senders(
    workspaces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "random_key", lambda: 0)  # a stretch that goes round the end is one query more
    counts = []
    for amount in (5, 20, 100):
        pool = Pool.objects.create(name=f"pool {amount}")
        places = Workspace.objects.bulk_create(Workspace(name=f"w{amount}-{n}") for n in range(workspaces))
        made = Mailbox.objects.bulk_create(
            Mailbox(workspace=places[n % workspaces], address=f"{n}@x{amount}.test", status="connected",
                    status_since=START)
            for n in range(500)
        )  # fmt: skip
        confirm(*made)
        InboxState.objects.bulk_create(InboxState(mailbox=one, complete_at=START) for one in made)
        Pace.objects.bulk_create(Pace(mailbox=one, next_send_at=START) for one in made)
        PoolMember.objects.bulk_create(
            PoolMember(pool=pool, mailbox=one, next_at=START if n < amount else START + DAY)
            for n, one in enumerate(made)
        )
        with CaptureQueriesContext(connection) as queries:
            assert choose(500, START) == amount
        counts.append(len([one for one in queries if not one["sql"].startswith("INSERT")]))
    assert len(set(counts)) == 1


def test_code11_whoever_has_the_pool_to_themselves_is_found_in_one_query() -> None:
    pool, ours = Pool.objects.create(name="p"), make_workspace()
    members(pool, 3, ours)
    with CaptureQueriesContext(connection) as queries:
        assert pairing._alone(pool, {ours.pk}) == {ours.pk}
    assert len(queries) == 1
    [stranger] = members(pool, 1)
    assert pairing._alone(pool, {ours.pk, stranger.mailbox.workspace_id}) == set()
