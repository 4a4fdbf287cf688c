"""Who is written to, by whom, when (K1, K2, K3, K5). The database, and no network."""

from __future__ import annotations

from datetime import time, timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns import importing
from campaigns.changes import CannotStart, pause, start
from campaigns.choosing import choose
from campaigns.models import Campaign, Lead, LeadMessage, Step
from mailboxes.health.record import record
from mailboxes.models import InboxState, Mailbox, OutMessage, Pace
from mailboxes.reconnect.removal import remove
from mailboxes.wire.values import Leg
from tests.campaigns.desk import DAY, deliver, leads, ready, turn
from tests.make import IMAP_REFUSED, START, confirm, evidence, make_workspace
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db


def test_k5_messages_of_a_mailbox_are_spaced_with_jitter() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(30), steps=1, spacing_minutes=10), START)
    moments = [START + timedelta(seconds=30 * number) for number in range(400)]
    sent = [moment for moment in moments if turn(moment)]
    waits = {(after - before) / timedelta(minutes=1) for before, after in pairwise(sent)}
    assert len(sent) > 10 and 7 <= min(waits) < max(waits) <= 13.5 and len(waits) > 3


def test_e12_time_away_earns_no_credit() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(30), steps=1, spacing_minutes=10), START)
    turn(START)
    back = START + 5 * DAY
    assert [turn(back + timedelta(minutes=minute)) for minute in range(6)] == [1, 0, 0, 0, 0, 0]


def test_k5_the_daily_limit_counts_over_all_campaigns_of_a_mailbox() -> None:
    workspace = make_workspace()
    [mailbox] = ready(workspace)
    for number in range(2):
        run(make_campaign([mailbox], [f"{number}-{one}" for one in leads(9)], steps=1, daily_limit=5), START)
    sent = sum(turn(START + timedelta(minutes=3 * number)) for number in range(20))
    assert sent == 5
    assert turn(START + DAY) == 1


def test_k5_nothing_goes_out_of_the_window() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(2), steps=1, window_from=time(8), window_to=time(11), zone="Asia/Tokyo")
    run(campaign, START)  # 21:00 there
    assert turn(START) == 0
    assert turn(START + timedelta(hours=12)) == 1  # 9:00 there


def test_k2_leads_are_shared_fairly_between_mailboxes() -> None:
    mailboxes = ready(make_workspace(), 4)
    run(make_campaign(mailboxes, leads(40), steps=1), START)
    for number in range(12):
        turn(START + timedelta(minutes=3 * number))
    homes = [Lead.objects.filter(home=one).count() for one in mailboxes]
    assert sum(homes) == 40 and max(homes) - min(homes) <= 1


@pytest.mark.parametrize(("days", "after", "moves"), [(0, 0, True), (3, 2, False), (3, 3.1, True), (None, 80, False)])
def test_k2_a_conversation_moves_when_its_mailbox_is_away_too_long(days: int | None, after: float, moves: bool) -> None:
    one, other = ready(make_workspace(), 2)
    campaign = make_campaign([one, other], leads(1), move_after_days=days)
    run(campaign, START)
    turn(START)
    home = Lead.objects.get().home
    assert home is not None
    broken = START + 2 * DAY
    record([evidence(home, Leg.IMAP, IMAP_REFUSED, at=broken)], now=broken)
    turn(broken + after * DAY)
    lead = Lead.objects.get()
    assert (lead.step == 2, lead.home != home) == (moves, moves)


def test_c9_k2_conversations_of_a_removed_mailbox_move_at_once(support: User) -> None:
    one, other = ready(make_workspace(), 2)
    run(make_campaign([one, other], leads(1), move_after_days=None), START)
    turn(START)
    home = Lead.objects.get().home
    assert home is not None
    remove(home, acting_user=support, now=START)
    turn(START + DAY + timedelta(minutes=3))
    lead = Lead.objects.get()
    assert lead.step == 2 and lead.home in (one, other) and lead.home != home


def test_k2_what_waits_for_a_broken_mailbox_goes_to_others_where_nobody_was_written_to_yet() -> None:
    one, other = ready(make_workspace(), 2)
    run(make_campaign([one, other], leads(2), steps=1), START)
    choose(10, START)
    assert OutMessage.objects.filter(state="queued").count() == 2
    later = START + timedelta(minutes=3)
    record([evidence(one, Leg.IMAP, IMAP_REFUSED, at=later)], now=later)
    for number in range(4):
        turn(later + timedelta(minutes=3 * number))
    assert set(OutMessage.objects.filter(state="sent").values_list("mailbox", flat=True)) == {other.pk}
    assert Lead.objects.filter(state="finished", home=other).count() == 2
    assert OutMessage.objects.filter(state="cancelled").count() == 1


def test_k1_a_follow_up_stands_in_the_conversation_and_a_new_subject_begins_another() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=2)
    Step.objects.create(campaign=campaign, number=3, wait_days=1, subject="Something else", body="Bye.")
    run(campaign, START)
    for day in range(3):
        turn(START + day * (DAY + timedelta(minutes=1)))
    first, second, third = OutMessage.objects.order_by("id")
    assert (second.in_reply_to, second.thread, second.subject) == (
        first.message_id,
        first.thread,
        f"Re: {first.subject}",
    )
    assert (third.in_reply_to, third.thread) == ("", third.message_id)


def test_k3_pausing_takes_back_what_has_not_gone_and_resuming_goes_on_once() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    run(campaign, START)
    choose(10, START)
    pause(campaign, acting_user=None, now=START)
    assert deliver(START) == 0
    start(campaign, acting_user=None, now=START)
    later = START + timedelta(minutes=3)
    assert turn(later) == 1
    assert LeadMessage.objects.get().out.state == "sent"


@pytest.mark.parametrize("lacks", ["step", "mailbox", "leads"])
def test_k1_a_campaign_that_lacks_something_is_not_started(lacks: str) -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1))
    {"step": campaign.steps, "mailbox": campaign.mailboxes, "leads": campaign.leads}[lacks].all().delete()
    with pytest.raises(CannotStart, match=lacks):
        start(campaign, acting_user=None, now=START)
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.DRAFT


def test_s3_an_address_that_no_server_takes_keeps_nobody_else_waiting() -> None:
    mailboxes = ready(make_workspace(), 2)
    campaign = make_campaign(mailboxes, ['"a<b"@people.test', "ann@people.test"], steps=1)
    run(campaign, START)
    turn(START)
    states = dict(Lead.objects.values_list("email", "state"))
    assert states == {'"a<b"@people.test': "refused", "ann@people.test": "finished"}
    assert "plain address" in Lead.objects.get(state="refused").note
    found = importing.read(b'email\n"""c<d""@people.test"\n', campaign)
    assert [row.fault for row in found.bad] == ["This is no email address."]


# ---- cost


def statements(queries: CaptureQueriesContext) -> int:
    """How many there were; many rows go in in pieces where the database bounds its parameters (SQLite): one of them."""
    texts = [query["sql"] for query in queries]
    inserts = {text.split("(")[0] for text in texts if text.startswith("INSERT")}
    return len([text for text in texts if not text.startswith("INSERT")]) + len(inserts)


def test_choosing_claiming_and_settling_cost_the_same_queries_for_ten_and_a_thousand() -> None:
    counts = []
    for amount in (10, 1000):
        workspace = make_workspace()
        made = Mailbox.objects.bulk_create(
            Mailbox(workspace=workspace, address=f"m{amount}-{n}@x.test", status="connected", status_since=START)
            for n in range(amount)
        )
        confirm(*made)
        InboxState.objects.bulk_create(InboxState(mailbox=one, complete_at=START) for one in made)
        Pace.objects.bulk_create(Pace(mailbox=one, next_send_at=START) for one in made)
        run(make_campaign(made, [f"{amount}-{one}" for one in leads(amount)], steps=1), START)
        with CaptureQueriesContext(connection) as queries:
            assert choose(2000, START) == amount
            assert deliver(START) == min(amount, 1000)
        counts.append(statements(queries))
    assert counts[0] == counts[1]
