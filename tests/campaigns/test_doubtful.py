"""A report that proves nothing holds one lead, and a person decides (SPEC M4, SEC-7, MAIL-17)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from campaigns import doubtful
from campaigns.choosing import choose
from campaigns.models import Campaign, Lead, Suppression
from campaigns.taking import take
from mailboxes.models import AuditEntry, InboxState, Mailbox, OutMessage
from tests.campaigns.desk import arrive, leads, ready, turn
from tests.make import START, make_member, make_workspace
from tests.pages.customers import text
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db


def written_to(amount: int = 2, steps: int = 2) -> tuple[Mailbox, Campaign]:
    """A campaign whose first step has been sent to everybody."""
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(amount), steps=steps)
    run(campaign, START)
    for number in range(amount):
        turn(START + timedelta(minutes=3 * number))
    assert OutMessage.objects.filter(state="sent").count() == amount
    return mailbox, campaign


def reported(lead: Lead, now: datetime, *, proved: bool = False, **values: str) -> None:
    """What the reader stores of a report, taken note of."""
    arrive(lead, now, proved=proved, **values)
    take(now)


def states() -> list[str]:
    return list(Lead.objects.order_by("place").values_list("state", flat=True))


def test_sec7_a_report_without_proof_holds_one_lead_and_nothing_else_happens() -> None:
    mailbox, _campaign = written_to(2)
    now = START + timedelta(hours=1)
    reported(Lead.objects.get(email="lead0@people.test"), now)
    assert states() == ["held", "active"]
    assert not Suppression.objects.exists()
    assert not OutMessage.objects.filter(bounced_at__isnull=False).exists(), "it is no risk of the mailbox"
    assert Lead.objects.get(state="held").note == "550 no such user"
    turn(START + timedelta(days=2))
    turn(START + timedelta(days=2, minutes=3))
    assert OutMessage.objects.filter(recipient="lead0@people.test").count() == 1, "it waits for a person"
    assert OutMessage.objects.filter(recipient="lead1@people.test").count() == 2
    assert Mailbox.objects.get(pk=mailbox.pk).risk_until is None


def test_m4_a_proved_report_ends_the_lead_and_suppresses() -> None:
    written_to(1)
    reported(Lead.objects.get(), START, proved=True)
    assert (states(), Suppression.objects.get().email) == (["bounced"], "lead0@people.test")
    assert OutMessage.objects.get().bounced_at == START


@pytest.mark.parametrize("queued", [False, True])
def test_m4_a_person_says_go_on_and_the_sequence_goes_on_where_it_stood(support: User, queued: bool) -> None:
    written_to(1)
    later = START + timedelta(days=2)
    if queued:
        InboxState.objects.update(complete_at=later)
        choose(10, later)
        assert OutMessage.objects.filter(state="queued").exists()
    lead = Lead.objects.get()
    reported(lead, later)
    assert (states(), OutMessage.objects.filter(state="queued").count()) == (["held"], 0)
    assert doubtful.go_on(lead, acting_user=support, now=later)
    assert not doubtful.go_on(lead, acting_user=support, now=later), "once"
    turn(later + timedelta(minutes=9))
    found = Lead.objects.get()
    assert (found.state, found.step, found.note) == ("finished", 2, "")
    assert OutMessage.objects.filter(state="sent").count() == 2
    entry = AuditEntry.objects.get(action="held lead goes on")
    assert (entry.actor_id, "lead0@people.test" in entry.detail) == (support.pk, True)


def test_m4_a_lead_that_had_come_to_its_end_is_held_and_comes_to_its_end_again(support: User) -> None:
    written_to(1, steps=1)
    lead = Lead.objects.get()
    assert lead.state == "finished"
    reported(lead, START)
    assert states() == ["held"]
    doubtful.go_on(lead, acting_user=support, now=START)
    assert states() == ["finished"]


def test_m4_a_message_that_was_handed_over_as_the_report_came_is_counted_when_it_goes_on(support: User) -> None:
    written_to(1)
    later = START + timedelta(days=2)
    InboxState.objects.update(complete_at=later)
    choose(10, later)
    OutMessage.objects.filter(state="queued").update(state="on_wire", on_wire_at=later)
    lead = Lead.objects.get()
    reported(lead, later)
    assert states() == ["held"]
    doubtful.go_on(lead, acting_user=support, now=later)
    OutMessage.objects.filter(state="on_wire").update(state="sent", sent_at=later)
    take(later)
    found = Lead.objects.get()
    assert (found.state, found.step) == ("finished", 2)


def test_m4_a_person_says_it_is_gone_and_the_address_is_suppressed(support: User) -> None:
    written_to(1)
    lead = Lead.objects.get()
    reported(lead, START)
    assert doubtful.take_as_gone(lead, acting_user=support, now=START)
    assert not doubtful.go_on(lead, acting_user=support, now=START), "decided"
    assert states() == ["bounced"]
    assert Suppression.objects.values_list("email", "reason").get() == ("lead0@people.test", "added")
    assert AuditEntry.objects.get(action="lead taken as undeliverable").actor_id == support.pk


@pytest.mark.parametrize("state", ["replied", "bounced", "unsubscribed"])
def test_m4_who_has_answered_or_left_is_not_held(state: str) -> None:
    written_to(1)
    Lead.objects.update(state=state)
    reported(Lead.objects.get(), START)
    assert states() == [state]


def test_m4_an_answer_ends_the_hold() -> None:
    written_to(1)
    lead = Lead.objects.get()
    reported(lead, START)
    reported(lead, START, kind="message", bounce_outcome="", bounce_status="")
    assert states() == ["replied"]


def test_mail17_a_proved_complaint_stops_the_lead_everywhere_in_the_workspace() -> None:
    mailbox, _campaign = written_to(1)
    other = make_campaign([mailbox], leads(1))
    reported(Lead.objects.first() or Lead(), START, proved=True, kind="complaint", bounce_outcome="")
    assert set(Lead.objects.values_list("state", flat=True)) == {"unsubscribed"}
    assert other.leads.get().state == "unsubscribed"
    assert Suppression.objects.values_list("email", "reason").get() == ("lead0@people.test", "complained")


def test_mail17_a_complaint_without_proof_holds_the_lead() -> None:
    written_to(1)
    reported(Lead.objects.get(), START, kind="complaint", bounce_outcome="", bounce_text="")
    assert (states(), Suppression.objects.exists()) == (["held"], False)
    assert Lead.objects.get().note


def test_m4_the_campaigns_page_shows_held_leads_and_takes_the_decision() -> None:
    _mailbox, campaign = written_to(2)
    for lead in campaign.leads.all():
        reported(lead, START)
    first, second = campaign.leads.order_by("place")
    client, stranger = Client(), Client()
    client.force_login(make_member(campaign.workspace))
    stranger.force_login(make_member(make_workspace()))
    page = client.get(f"/campaigns/{campaign.pk}/?state=held")
    assert "Probably undeliverable" in text(page) and "It is gone" in text(page) and "Go on" in text(page)
    for path in (f"{first.pk}/gone/", f"{second.pk}/go-on/"):
        url = f"/campaigns/{campaign.pk}/leads/{path}"
        assert (client.get(url).status_code, stranger.post(url).status_code) == (405, 404)
        assert client.post(url).status_code == 302
    assert states() == ["bounced", "active"]
    another = make_campaign([_mailbox], ["x@people.test"])
    assert client.post(f"/campaigns/{another.pk}/leads/{first.pk}/gone/").status_code == 404
