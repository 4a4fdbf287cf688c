"""Nobody's campaign, day or broken mailbox changes another one's (K2, K5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.assigning import Due, Sender, assign
from campaigns.choosing import _sent_today, choose
from campaigns.models import Campaign, Lead, LeadMessage
from campaigns.moving import take_back
from mailboxes.models import InboxState, Mailbox, OutMessage
from tests.campaigns.desk import DAY, leads, ready
from tests.make import START, make_mailbox, make_workspace
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db
HOURS = timedelta(hours=1)
# 00:30 in Berlin; 13:30 of the day before in Honolulu.
NIGHT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)


def sent(mailbox: Mailbox, amount: int, at: datetime, **values: Any) -> None:
    """Campaign messages that went out at this time."""
    common: dict[str, Any] = {
        "mailbox": mailbox, "purpose": "campaign", "recipient": "a@b.test", "subject": "s", "body": "b", "thread": "t",
        "state": "sent", "on_wire_at": at, "sent_at": at, "created_at": at,
    } | values  # fmt: skip
    OutMessage.objects.bulk_create(
        OutMessage(message_id=f"<{OutMessage.objects.count()}-{number}@x.test>", **common) for number in range(amount)
    )


def open_at_all_hours(mailbox: Mailbox, zone: str, **values: Any) -> Campaign:
    campaign = make_campaign([mailbox], leads(9), steps=1, zone=zone, daily_limit=5, **values)
    run(campaign, START)
    InboxState.objects.update(complete_at=NIGHT)
    return campaign


@pytest.mark.parametrize("stranger", ["Pacific/Honolulu", "Pacific/Kiritimati", ""])
def test_hlt4_a_strangers_midnight_never_changes_mine(stranger: str) -> None:
    [mine] = ready(make_workspace())
    open_at_all_hours(mine, "Europe/Berlin")
    sent(mine, 5, NIGHT - 2 * HOURS)  # yesterday in Berlin
    if stranger:
        [other] = ready(make_workspace())
        open_at_all_hours(other, stranger)
    InboxState.objects.update(complete_at=NIGHT)
    choose(10, NIGHT)
    assert OutMessage.objects.filter(mailbox=mine, state="queued").count() == 1


def test_hlt4_each_campaign_counts_since_the_midnight_of_its_own_zone() -> None:
    [mailbox] = ready(make_workspace())
    berlin = open_at_all_hours(mailbox, "Europe/Berlin")
    honolulu = open_at_all_hours(mailbox, "Pacific/Honolulu")
    sent(mailbox, 4, NIGHT - 2 * HOURS)
    sent(mailbox, 1, NIGHT - timedelta(minutes=5))
    sent(mailbox, 3, NIGHT - 20 * HOURS)  # the day before in both
    found = _sent_today([mailbox.pk], [berlin, honolulu], NIGHT)
    assert found == {mailbox.pk: {berlin.pk: 1, honolulu.pk: 5}}
    choose(10, NIGHT)
    assert LeadMessage.objects.get().lead.campaign == berlin


def test_hlt4_what_waits_to_go_out_again_counts_for_today() -> None:
    [mailbox] = ready(make_workspace())
    campaign = open_at_all_hours(mailbox, "Europe/Berlin")
    sent(mailbox, 4, NIGHT - timedelta(minutes=9))
    sent(mailbox, 1, NIGHT - 2 * HOURS, state="queued", due_at=NIGHT + HOURS, sent_at=None)  # put off yesterday
    assert _sent_today([mailbox.pk], [campaign], NIGHT) == {mailbox.pk: {campaign.pk: 5}}
    assert choose(10, NIGHT) == 0


def test_hlt4_counting_fetches_numbers_and_not_rows() -> None:
    [mailbox] = ready(make_workspace())
    campaigns = [open_at_all_hours(mailbox, zone) for zone in ("Europe/Berlin", "Asia/Tokyo", "UTC")]
    sent(mailbox, 50, NIGHT)
    with CaptureQueriesContext(connection) as queries:
        assert _sent_today([mailbox.pk], campaigns, NIGHT)[mailbox.pk][campaigns[0].pk] == 50
    assert len(queries) == 1 and "COUNT(" in queries[0]["sql"] and "GROUP BY" in queries[0]["sql"]


def test_hlt4_a_mailbox_that_is_full_for_one_campaign_still_serves_the_other() -> None:
    senders = [Sender(1, {8: 40, 9: 3}), Sender(2, {8: 7})]
    assert assign(senders, [Due(11, 8, None), Due(12, 8, None), Due(13, 9, None)], {8: 40, 9: 40}) == {11: 2, 13: 1}


# ---- what waits does not hide what can move


def waiting_conversations(amount: int, campaign: Campaign, mailbox: Mailbox, first_place: int) -> None:
    """Second steps that wait for a broken mailbox."""
    made = Lead.objects.bulk_create(
        Lead(campaign=campaign, email=f"w{n}@w.test", place=first_place + n, state="active", home=mailbox, step=1,
             due_at=None)
        for n in range(amount)
    )  # fmt: skip
    outs = OutMessage.objects.bulk_create(
        OutMessage(mailbox=mailbox, purpose="campaign", recipient=one.email, subject="s", body="b", thread="t",
                   message_id=f"<w{one.pk}@w.test>", created_at=START, due_at=START)
        for one in made
    )  # fmt: skip
    LeadMessage.objects.bulk_create(
        LeadMessage(lead=lead, step=2, out=out) for lead, out in zip(made, outs, strict=True)
    )


@pytest.mark.parametrize("amount", [20, 1200])
def test_code3_waiting_conversations_hide_no_lead_that_can_move(amount: int) -> None:
    workspace = make_workspace()
    broken = make_mailbox(workspace=workspace)  # never connected
    [healthy] = ready(workspace)
    campaign = make_campaign([broken, healthy], leads(1), steps=2, move_after_days=None)
    run(campaign, START)
    waiting_conversations(amount, campaign, broken, 10)
    lead = Lead.objects.get(place=1)
    Lead.objects.filter(pk=lead.pk).update(state="active", home=broken, due_at=None)
    out = OutMessage.objects.create(
        mailbox=broken, purpose="campaign", recipient=lead.email, subject="s", body="b", thread="t", message_id="<m@x>",
        created_at=START, due_at=START,
    )  # fmt: skip
    LeadMessage.objects.create(lead=lead, step=1, out=out)
    with CaptureQueriesContext(connection) as queries:
        take_back(START)
    lead.refresh_from_db()
    assert (lead.state, lead.home) == ("new", None)
    assert LeadMessage.objects.count() == amount  # they wait on
    assert len(queries) <= 12


def test_code3_a_conversation_behind_many_that_wait_longer_moves_when_its_own_time_has_come() -> None:
    workspace = make_workspace()
    broken = make_mailbox(workspace=workspace, created_at=START - 5 * DAY)
    ready(workspace)
    patient = make_campaign([broken], [], steps=2, move_after_days=None)
    slow = make_campaign([broken], [], steps=2, move_after_days=30)
    quick = make_campaign([broken], [], steps=2, move_after_days=3)
    for number, (one, amount) in enumerate(((patient, 600), (slow, 600), (quick, 3))):
        waiting_conversations(amount, one, broken, 1 + 1000 * number)
    take_back(START)
    assert LeadMessage.objects.filter(lead__campaign=quick).count() == 0
    assert LeadMessage.objects.count() == 1200


def test_code3_homeless_leads_of_a_campaign_without_senders_hide_nobody_elses() -> None:
    workspace = make_workspace()
    gone = make_mailbox(workspace=workspace)
    stuck = make_campaign([make_mailbox(workspace=workspace)], [], steps=2)
    run_state = {"state": "running"}
    Campaign.objects.filter(pk=stuck.pk).update(**run_state)
    [healthy] = ready(workspace)
    mine = make_campaign([healthy], [], steps=2)
    Campaign.objects.filter(pk=mine.pk).update(**run_state)
    for campaign, amount, due in ((stuck, 60, START - DAY), (mine, 1, START)):
        Lead.objects.bulk_create(
            Lead(campaign=campaign, email=f"{campaign.pk}-{n}@l.test", place=n, state="active", home=gone, step=1,
                 due_at=due)
            for n in range(amount)
        )  # fmt: skip
    assert choose(10, START) == 1
    assert LeadMessage.objects.get().lead.campaign == mine


def test_code3_moving_costs_the_same_queries_for_ten_and_a_thousand() -> None:
    counts = []
    for amount in (10, 400):
        workspace = make_workspace()
        broken = make_mailbox(workspace=workspace, created_at=START - 5 * DAY)
        campaign = make_campaign([broken], [], steps=2, move_after_days=3)
        waiting_conversations(amount, campaign, broken, 1)
        with CaptureQueriesContext(connection) as queries:
            take_back(START)
        counts.append(len([one for one in queries if not one["sql"].startswith("SAVEPOINT")]))
        assert not LeadMessage.objects.exists()
        OutMessage.objects.all().delete()
        Lead.objects.all().delete()
    assert counts[0] == counts[1]
