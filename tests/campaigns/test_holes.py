"""No message has a hole (CODE-4), and a campaign that is done is finished (CODE-5)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import changes, deeds, mail
from campaigns.admin.campaign import standing
from campaigns.lacking import warning
from campaigns.models import Campaign, Lead, Step
from mailboxes.models import AuditEntry, Mailbox, OutMessage
from tests.campaigns.desk import DAY, leads, ready, turn
from tests.make import START, make_member, make_workspace
from tests.post import make_campaign, run

pytestmark = pytest.mark.django_db
HOLED = {"wait_days": 0, "subject": "{{ company }}", "body": "Dear {{ first_name }}, about {{ company }}."}
WHOLE = {"wait_days": 0, "subject": "About {{ company|your work }}", "body": "Dear {{ first_name|reader }}."}


def write(campaign: Campaign, *steps: dict[str, Any]) -> None:
    deeds.write(campaign, list(campaign.mailboxes.all()), steps, acting_user=None, now=START)


def holed(amount: int = 1) -> tuple[Mailbox, Campaign]:
    """A campaign whose step was edited after the import."""
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(amount), steps=1)
    run(campaign, START)
    write(campaign, HOLED)
    return mailbox, campaign


def test_code4_a_message_with_a_hole_is_never_queued_and_its_lead_says_why_it_is_held() -> None:
    _mailbox, campaign = holed(2)
    Lead.objects.filter(place=2).update(fields={"company": "Elm", "first_name": "Ann"})
    assert turn(START) + turn(START) == 1
    assert OutMessage.objects.get().subject == "Elm"
    lead = Lead.objects.get(place=1)
    assert (lead.lacks, lead.due_at, lead.state) == ("Step 1 needs company, first_name", None, "new")
    assert mail.take(START) == 0 and Campaign.objects.get(pk=campaign.pk).state == "running"


def test_code4_a_held_lead_goes_on_when_the_step_is_corrected() -> None:
    _mailbox, campaign = holed()
    assert turn(START) == 0
    write(campaign, HOLED)
    assert turn(START) == 0
    assert Lead.objects.get().lacks
    write(campaign, WHOLE)
    assert turn(START) == 1
    assert OutMessage.objects.get().body.startswith("Dear reader.")


def test_code4_a_held_lead_goes_on_when_it_is_imported_again_with_the_field() -> None:
    _mailbox, campaign = holed(2)
    turn(START)
    turn(START)
    data = b"email,company,first_name\nlead0@people.test,Elm,Ann\nlead1@people.test,,Bo\n"
    found = deeds.bring(data, campaign, acting_user=None, now=START)
    assert ([row.corrects for row in found.good], len(found.bad)) == ([True], 1)
    assert turn(START) == 1
    assert OutMessage.objects.get().body.startswith("Dear Ann, about Elm.")
    assert turn(START + DAY) == 0
    assert Lead.objects.get(email="lead1@people.test").lacks == "Step 1 needs company, first_name"
    assert campaign.leads.count() == 2


def test_code4_a_later_step_with_a_hole_waits_in_its_conversation() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=2)
    run(campaign, START)
    assert turn(START) == 1
    Step.objects.filter(number=2).update(body="For {{ company }}.")
    assert turn(START + 2 * DAY) == 0
    lead = Lead.objects.get()
    assert (lead.state, lead.step, lead.lacks) == ("active", 1, "Step 2 needs company")


def test_code4_a_first_subject_that_would_be_empty_is_a_hole() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    run(campaign, START)
    write(campaign, WHOLE | {"subject": "{{ company| }}"})
    assert turn(START) == 0
    assert "subject" in Lead.objects.get().lacks


def test_code4_saving_says_which_fields_are_lacking_and_for_how_many() -> None:
    _mailbox, campaign = holed(3)
    Lead.objects.filter(place=1).update(fields={"company": "Elm", "first_name": ""})
    Lead.objects.filter(place=2).update(fields={"company": "Oak", "first_name": "Ann"})
    assert "1 lead without company, 2 leads without first_name." in warning(campaign)
    Lead.objects.filter(place=3).update(state="finished")
    Lead.objects.filter(place=1).update(state="active", step=1)
    assert warning(campaign) == ""


def test_code4_both_faces_say_it_and_show_the_held_lead(client: Client) -> None:
    mailbox, campaign = holed()
    turn(timezone.now())
    Lead.objects.update(lacks="Step 1 needs company, first_name", due_at=None)
    member = make_member(mailbox.workspace)
    client.force_login(member)
    page = client.get(f"/campaigns/{campaign.pk}/").content.decode()
    assert "1 lead without company, 1 lead without first_name" in page
    assert "Held: Step 1 needs company, first_name" in page
    assert "1 lead without company" in standing(campaign)["holes"]


# ---- finished


def test_code5_a_campaign_without_anybody_left_is_finished_and_runs_on_with_new_leads() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    run(campaign, START)
    assert mail.is_waiting(START)
    mail.take(START)
    campaign.refresh_from_db()
    assert campaign.state == "running"
    turn(START)
    mail.take(START)
    campaign.refresh_from_db()
    assert (campaign.state, campaign.changed_at, campaign.changed_by) == ("finished", START, None)
    assert AuditEntry.objects.filter(action="campaign finished", detail=campaign.name).count() == 1
    with pytest.raises(changes.CannotStart, match="come to their end"):
        changes.start(campaign, acting_user=None, now=START)
    deeds.bring(b"email\nnew@people.test\n", campaign, acting_user=None, now=START)
    campaign.refresh_from_db()
    assert campaign.state == "running"


@pytest.mark.parametrize("state", ["new", "active", "held"])
def test_code5_somebody_left_keeps_it_running(state: str) -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(2), steps=1)
    run(campaign, START)
    Lead.objects.filter(place=1).update(state="replied", due_at=None)
    Lead.objects.filter(place=2).update(state=state, due_at=None)
    assert changes.finish(START) == 0


def test_code5_a_paused_campaign_is_not_finished_and_not_resumed_by_an_import() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], leads(1), steps=1)
    run(campaign, START)
    changes.pause(campaign, acting_user=None, now=START)
    Lead.objects.update(state="replied", due_at=None)
    assert changes.finish(START) == 0
    deeds.bring(b"email\nnew@people.test\n", campaign, acting_user=None, now=START)
    campaign.refresh_from_db()
    assert campaign.state == "paused"
