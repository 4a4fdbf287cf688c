"""Whoever unsubscribes, bounces or is suppressed is written to no more; risk (K5, K6, K7, H1)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from campaigns.changes import unsubscribe
from campaigns.choosing import choose
from campaigns.models import Campaign, Lead, Suppression
from campaigns.taking import take
from campaigns.tokens import opens_url, unsubscribe_url
from mailboxes.health import risk
from mailboxes.health.record import record
from mailboxes.models import InMessage, Mailbox, OutMessage
from mailboxes.wire.values import Leg
from tests.campaigns.desk import DAY, leads, ready, turn
from tests.make import IMAP_REFUSED, START, caught_up, evidence, make_workspace
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db


# ---- unsubscribing


def test_k5_unsubscribing_takes_one_post_without_cookie_whatever_the_mailboxes_state() -> None:
    workspace = make_workspace()
    [mailbox] = ready(workspace)
    campaigns = [make_campaign([mailbox], ["ann@people.test"]) for _number in range(2)]
    for one in campaigns:
        run(one, START)
    turn(START)
    choose(10, START + timedelta(minutes=3))
    message = OutMessage.objects.get(state="sent")
    url = message.headers["List-Unsubscribe"].strip("<>")
    assert message.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    Mailbox.objects.update(status="needs_reauth")
    strict = Client(enforce_csrf_checks=True)
    path = "/" + url.split("/", 3)[3]
    assert strict.get(path).status_code == 200
    assert not Suppression.objects.exists(), "looking does nothing"
    for _time in range(2):
        done = strict.post(path, {"List-Unsubscribe": "One-Click"})
        assert (done.status_code, done.cookies) == (200, {})
    assert Suppression.objects.get().email == "ann@people.test"
    assert set(Lead.objects.values_list("state", flat=True)) == {"unsubscribed"}
    assert not OutMessage.objects.filter(state="queued").exists()


def test_k5_a_made_up_unsubscribe_address_is_told_politely() -> None:
    assert Client().get("/unsubscribe/1:made-up/").status_code == 404
    assert Client().post("/unsubscribe/1:made-up/").status_code == 404


def test_k5_whoever_is_suppressed_is_written_to_by_no_campaign_of_the_workspace() -> None:
    workspace = make_workspace()
    [mailbox] = ready(workspace)
    Suppression.objects.create(workspace=workspace, email="lead0@people.test")
    run(make_campaign([mailbox], leads(2), steps=1), START)
    for number in range(4):
        turn(START + timedelta(minutes=3 * number))
    assert list(OutMessage.objects.values_list("recipient", flat=True)) == ["lead1@people.test"]


def test_k5_somebody_who_unsubscribed_stays_so_when_they_answer() -> None:
    [mailbox] = ready(make_workspace())
    run(make_campaign([mailbox], leads(1)), START)
    turn(START)
    unsubscribe(Lead.objects.get(), START)
    InMessage.objects.create(
        mailbox=mailbox, identity="1", kind="message", role="inbox", uid=1, thread="t", arrived_at=START,
        answers=OutMessage.objects.get(), waits_for="campaign",
    )  # fmt: skip
    assert take(START) == 1
    assert Lead.objects.get().state == "unsubscribed"


def test_k7_opens_are_counted_only_where_the_campaign_wants_it() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1))
    lead = campaign.leads.get()
    path = "/" + opens_url(lead).split("/", 3)[3]
    assert Client().get(path)["Content-Type"] == "image/gif"
    assert Lead.objects.get().opened_at is None
    Campaign.objects.update(track_opens=True)
    Mailbox.objects.update(status="error")
    Client().get(path)
    assert Lead.objects.get().opened_at is not None
    assert Client().get("/opened/nonsense.gif").status_code == 200
    run(campaign, START)
    Mailbox.objects.update(status="connected")
    turn(START)
    message = OutMessage.objects.get()
    assert path in message.html and unsubscribe_url(lead) in message.html


# ---- risk


def bounced(mailbox: Mailbox, sent: int, back: int, purpose: str = "campaign") -> None:
    OutMessage.objects.bulk_create(
        OutMessage(
            mailbox=mailbox, purpose=purpose, recipient=f"{number}@b.test", subject="s", body="b", state="sent",
            message_id=f"<{purpose}-{number}@x.test>", thread="t", sent_at=START, on_wire_at=START,
            bounced_at=START if number < back else None,
        )
        for number in range(sent)
    )  # fmt: skip


@pytest.mark.parametrize(("sent", "back", "rests"), [(49, 20, False), (50, 2, False), (50, 3, True), (100, 5, False)])
def test_k6_over_five_per_cent_of_fifty_rest_the_mailbox_as_a_risk(sent: int, back: int, rests: bool) -> None:
    [mailbox] = ready(make_workspace())
    bounced(mailbox, sent, back)
    assert bool(risk.assess([mailbox.pk], START)) is rests
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.needs_reconnect) == ("connected", False)
    assert Mailbox.objects.can_send(START).exists() is not rests
    caught_up(mailbox, START + DAY)
    assert Mailbox.objects.can_send(START + DAY).exists()


def test_h1_risk_is_assessed_only_where_the_connection_holds() -> None:
    [mailbox] = ready(make_workspace())
    bounced(mailbox, 60, 30)
    record([evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=START + DAY)], now=START + DAY)
    assert risk.assess([mailbox.pk], START + DAY) == set()


def test_w2_warm_up_mail_that_comes_back_is_nobodys_risk() -> None:
    [mailbox] = ready(make_workspace())
    bounced(mailbox, 60, 30, purpose="warmup")
    assert risk.assess([mailbox.pk], START) == set()
