"""A customer's campaigns: list, page, form, start and pause, import, suppressed addresses (SPEC K1 to K7, S5)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign, Lead, LeadMessage, Suppression
from campaigns.moving import without_home
from mailboxes.models import AuditEntry, Mailbox, OutMessage, Workspace
from tests.make import make_mailbox, make_member, make_workspace
from tests.pages.customers import customer, text
from tests.pages.mail import break_down, campaign_of, cost, sent_step, working

pytestmark = pytest.mark.django_db
SETTINGS = {
    "name": "Spring", "zone": "Europe/Berlin", "window_from": "08:00", "window_to": "18:00", "daily_limit": "40",
    "spacing_minutes": "8", "move_after_days": "",
}  # fmt: skip


def form(*steps: dict[str, str], initial: int = 0, **values: Any) -> dict[str, Any]:
    """What a browser posts: the steps, and the empty one at the end."""
    data: dict[str, Any] = SETTINGS | values
    data |= {"steps-TOTAL_FORMS": len(steps) + 1, "steps-INITIAL_FORMS": initial}
    empty = {"wait_days": "3", "subject": "", "body": ""}
    for number, step in enumerate([*steps, {}]):
        data |= {f"steps-{number}-{name}": value for name, value in (empty | step).items()}
    return data


def csv(words: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("leads.csv", words.encode())


def steps_of(campaign: Campaign) -> list[tuple[int, str, str]]:
    return list(campaign.steps.values_list("number", "subject", "body"))


# ---- the list


def test_k1_the_list_shows_states_mailboxes_and_numbers() -> None:
    workspace = make_workspace()
    well, sick = working(workspace), break_down(working(workspace))
    user = make_member(workspace)
    campaign_of(workspace, name="A draft")
    campaign_of(workspace, well, sick, leads=3, name="Goes", state="running")
    campaign_of(workspace, sick, name="Stands", state="running")
    for name, by in (("Mine", user), ("Another's", make_member(workspace)), ("Support's", None)):
        campaign_of(workspace, well, name=name, state="paused", changed_by=by)
    support = User.objects.create_user("sam", is_staff=True)
    Campaign.objects.filter(name="Support's").update(changed_by=support)
    client = Client()
    client.force_login(user)
    page = text(client.get("/campaigns/"))
    for words in (">Draft<", ">Running<", ">Held<", ">Paused by you<", ">Paused by member", ">Paused by support<"):
        assert words in page
    assert (
        "1 of 2 mailboxes work" in page and "3 leads" in page and "Its only mailbox cannot send at the moment" in page
    )


def test_the_list_costs_the_same_for_ten_and_sixty_campaigns() -> None:
    costs = []
    for count in (10, 60):
        workspace = make_workspace()
        mailbox = break_down(working(workspace))
        for number in range(count):
            campaign_of(workspace, mailbox, leads=2, state="running" if number % 2 else "paused")
        costs.append(cost(customer(workspace), "/campaigns/"))
    assert costs[0] == costs[1] <= 12


def test_the_empty_list_says_what_a_campaign_is() -> None:
    page = text(customer(make_workspace()).get("/campaigns/"))
    assert "No campaigns yet" in page and "New campaign" in page


# ---- a campaign


def test_k3_a_held_campaign_says_why_since_when_and_links_to_its_mailboxes() -> None:
    sick = break_down(working())
    campaign = campaign_of(sick.workspace, sick, leads=4, state="running")
    page = text(customer(sick.workspace).get(f"/campaigns/{campaign.pk}/"))
    assert ">Held<" in page and "It goes on by itself as soon as one can." in page and "Since " in page
    assert f'href="/mailboxes/{sick.pk}/"' in page and "Wrong password or login" in page and "Pause</button>" in page
    assert f"waits for {sick.address}" in page and "Not written to yet" in page


def test_k1_leads_are_filtered_searched_and_come_in_pages() -> None:
    mailbox = working()
    campaign = campaign_of(mailbox.workspace, mailbox, leads=60, state="running")
    Lead.objects.filter(place=7).update(state="bounced", note="550 no such user", email="gone@leads.test")
    client = customer(mailbox.workspace)
    place = f"/campaigns/{campaign.pk}/"
    assert "Page 1 of 2" in text(client.get(place))
    for query in ("?state=bounced", "?q=gone@"):
        page = text(client.get(place + query))
        assert "gone@leads.test" in page and "550 no such user" in page and "lead8@leads.test" not in page
    assert "No lead fits" in text(client.get(place + "?q=nobody"))
    assert "Page 1 of 2" in text(client.get(place + "?state=nonsense&page=²"))


def test_the_page_costs_the_same_for_ten_and_sixty_leads() -> None:
    costs = []
    for count in (10, 60):
        mailbox = break_down(working())
        campaign = campaign_of(mailbox.workspace, mailbox, working(mailbox.workspace), leads=count, state="running")
        costs.append(cost(customer(mailbox.workspace), f"/campaigns/{campaign.pk}/"))
    assert costs[0] == costs[1] <= 20


def test_k3_start_pause_and_resume_with_what_is_missing() -> None:
    mailbox = working()
    campaign = campaign_of(mailbox.workspace, mailbox)
    client = customer(mailbox.workspace)
    place = f"/campaigns/{campaign.pk}/"
    assert "It has no leads: import some." in text(client.get(place))
    page = text(client.post(f"{place}start/", follow=True))
    assert "It cannot be started. It has no leads: import some." in page
    Lead.objects.create(campaign=campaign, email="kim@leads.test", place=1)
    assert ">Running<" in text(client.post(f"{place}start/", follow=True))
    page = text(client.post(f"{place}pause/", follow=True))
    assert ">Paused by you<" in page and "Resume</button>" in page
    client.post(f"{place}start/")
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert [one for one in actions if one.startswith("campaign")] == [
        "campaign started", "campaign paused", "campaign started",
    ]  # fmt: skip


# ---- the form


def test_k1_a_campaign_is_written_with_its_mailboxes_and_steps() -> None:
    mailbox = working()
    client = customer(mailbox.workspace)
    assert mailbox.address in text(client.get("/campaigns/new/")) and "Europe/Berlin" in text(
        client.get("/campaigns/new/")
    )
    steps = [{"subject": "Hello", "body": "Hello {{ first_name|there }}\r\nBye"}, {"body": "Again", "wait_days": "5"}]
    data = form(*steps, mailboxes=[mailbox.pk], on_weekends="on")
    assert ">Draft<" in text(client.post("/campaigns/new/", data, follow=True))
    campaign = Campaign.objects.get()
    assert (campaign.name, campaign.zone, campaign.move_after_days) == ("Spring", "Europe/Berlin", None)
    assert campaign.workspace == mailbox.workspace and list(campaign.mailboxes.all()) == [mailbox]
    assert steps_of(campaign) == [(1, "Hello", "Hello {{ first_name|there }}\nBye"), (2, "", "Again")]
    assert campaign.steps.get(number=2).wait_days == 5 and campaign.on_weekends and not campaign.track_opens
    assert AuditEntry.objects.filter(action="campaign written").count() == 1


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (form(name=""), "This field is required."),
        (form(name="Taken"), "There is a campaign of this name already."),
        (form(zone="Berlin"), "is no time zone"),
        (form(daily_limit="0"), "greater than or equal to 1"),
        (form(move_after_days="91"), "less than or equal to 90"),
        (form(window_from="8 o'clock"), "Enter a valid time."),
        (form({"body": "Hello"}), "The first step needs a subject."),
        (form({"subject": "Hello"}), "This field is required."),
        (form({"subject": "Hello", "body": "{{ First Name }}"}), "names no field"),
        (form({"subject": "{% if %}", "body": "Hello"}), "names no field"),
    ],
)
def test_k1_faults_of_the_form_are_told_at_their_field(data: dict[str, Any], fault: str) -> None:
    workspace = make_workspace()
    campaign_of(workspace, name="Taken")
    page = text(customer(workspace).post("/campaigns/new/", data))
    assert fault in page and "Nothing is saved yet" in page
    assert Campaign.objects.count() == 1


def test_s5_a_foreign_mailbox_cannot_be_chosen() -> None:
    workspace, theirs = make_workspace(), working()
    page = text(customer(workspace).post("/campaigns/new/", form(mailboxes=[theirs.pk])))
    assert "not one of the available choices" in page and theirs.address not in page


def test_k1_a_running_campaign_is_changed_without_stopping_it() -> None:
    mailbox = working()
    campaign = campaign_of(mailbox.workspace, mailbox, leads=1, state="running")
    client = customer(mailbox.workspace)
    assert "It runs. What you change counts from the next message on" in text(
        client.get(f"/campaigns/{campaign.pk}/edit/")
    )
    steps = [{"subject": "New", "body": "One"}, {"body": "Two", "DELETE": "on"}]
    third = {"body": "Three", "wait_days": "7"}
    data = form(*steps, third, initial=2, name="Summer", mailboxes=[mailbox.pk])
    assert ">Running<" in text(client.post(f"/campaigns/{campaign.pk}/edit/", data, follow=True))
    campaign.refresh_from_db()
    assert campaign.name == "Summer" and steps_of(campaign) == [(1, "New", "One"), (2, "", "Three")]


@pytest.mark.parametrize("posted", ["deleted", "left out"])
def test_k4_a_step_that_was_sent_is_changed_and_not_removed(posted: str) -> None:
    mailbox = working()
    campaign = campaign_of(mailbox.workspace, mailbox)
    sent_step(campaign, mailbox, 2)
    client = customer(mailbox.workspace)
    steps = [{"subject": "New", "body": "One"}, {"body": "Two", "DELETE": "on"}]
    data = form(*steps, initial=2) if posted == "deleted" else form(steps[0], initial=0)
    page = text(client.post(f"/campaigns/{campaign.pk}/edit/", data))
    assert "can be changed, and not removed" in page
    data = form(steps[0], {"body": "Two, better"}, initial=2)
    client.post(f"/campaigns/{campaign.pk}/edit/", data)
    assert steps_of(campaign) == [(1, "New", "One"), (2, "", "Two, better")]


def test_k1_a_running_campaign_keeps_a_step() -> None:
    campaign = campaign_of(make_workspace(), state="running")
    gone = [{"subject": "New", "body": "One", "DELETE": "on"}, {"body": "Two", "DELETE": "on"}]
    page = text(customer(campaign.workspace).post(f"/campaigns/{campaign.pk}/edit/", form(*gone, initial=2)))
    assert "A running campaign needs a step" in page and campaign.steps.count() == 2


def test_k2_a_mailbox_that_is_taken_out_leaves_its_conversations_to_the_others() -> None:
    workspace = make_workspace()
    stays, goes = working(workspace), working(workspace)
    campaign = campaign_of(workspace, stays, goes, state="running")
    begun, queued = sent_step(campaign, goes, 1), sent_step(campaign, goes, 2, state="queued", sent_at=None)
    LeadMessage.objects.filter(lead=begun).update(settled=True)
    Lead.objects.filter(pk=queued.pk).update(due_at=None, step=1)
    steps = [{"subject": "New", "body": "One"}, {"body": "Two"}]
    data = form(*steps, initial=2, mailboxes=[stays.pk])
    customer(workspace).post(f"/campaigns/{campaign.pk}/edit/", data)
    assert Lead.objects.filter(without_home([campaign.pk], timezone.now()), state="active").count() == 2
    queued.refresh_from_db()
    assert queued.due_at is not None and OutMessage.objects.filter(state="cancelled").count() == 1


# ---- import


def test_k1_a_file_is_shown_first_and_that_very_file_is_imported() -> None:
    campaign = campaign_of(make_workspace())
    client = customer(campaign.workspace)
    place = f"/campaigns/{campaign.pk}/leads/"
    Suppression.objects.create(workspace=campaign.workspace, email="no@leads.test")
    words = "\ufeffemail,Company\nkim@leads.test,Kestrel\nno-address,x\nno@leads.test,y\nlou@leads.test,Löwe\n"
    page = text(client.post(place, {"file": csv(words)}))
    assert "nothing is imported yet" in page and "Import 2 leads" in page and "company: Löwe" in page
    assert "Line 3: no-address" in page and "This is no email address." in page and "suppression list" in page
    assert not Lead.objects.exists() and not AuditEntry.objects.filter(action="leads imported").exists()
    shown = page.partition('name="shown" value="')[2].partition('"')[0]
    page = text(client.post(place, {"shown": shown}, follow=True))
    assert "2 leads imported." in page
    assert list(Lead.objects.values_list("email", "fields")) == [
        ("kim@leads.test", {"company": "Kestrel"}), ("lou@leads.test", {"company": "Löwe"}),
    ]  # fmt: skip
    assert "all of these leads are in the campaign already" in text(client.post(place, {"shown": shown}, follow=True))
    assert Lead.objects.count() == 2
    assert AuditEntry.objects.filter(action="leads imported").count() == 2


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"name\nKim\n", "no column"), (b"email,name\na@b.test,\0\n", "not in UTF-8"),
        (b"email\n\xff\xfe\n", "not in UTF-8"), (b"", "no column"),
        (b"email\n" + b"x" * 5_000_001, "larger than 5 MB"),
    ],
)  # fmt: skip
def test_k1_a_file_that_cannot_be_read_is_told_at_the_field(data: bytes, fault: str) -> None:
    campaign = campaign_of(make_workspace())
    file = SimpleUploadedFile("leads.csv", data)
    page = text(customer(campaign.workspace).post(f"/campaigns/{campaign.pk}/leads/", {"file": file}))
    assert fault in page and 'id="id_file_error"' in page and "Import " in page


def test_k1_no_file_and_a_made_up_one_are_refused() -> None:
    workspace = make_workspace()
    campaign, other = campaign_of(workspace), campaign_of(workspace)
    client = customer(workspace)
    assert "This field is required." in text(client.post(f"/campaigns/{campaign.pk}/leads/"))
    page = text(client.post(f"/campaigns/{other.pk}/leads/", {"file": csv("email\nkim@leads.test\n")}))
    shown = page.partition('name="shown" value="')[2].partition('"')[0]
    for made_up in ("x", "", shown[:-1], shown):  # the last one is another campaign's
        page = text(client.post(f"/campaigns/{campaign.pk}/leads/", {"shown": made_up}, follow=True))
        assert "choose the file once more" in page
    assert not Lead.objects.exists()


# ---- suppressed addresses


def test_k5_an_address_is_added_and_never_written_to_again() -> None:
    mailbox = working()
    campaign = campaign_of(mailbox.workspace, mailbox)
    lead = sent_step(campaign, mailbox, 1, state="queued", sent_at=None)
    client = customer(mailbox.workspace)
    assert "None. Who unsubscribes" in text(client.get("/campaigns/suppressed/"))
    page = text(client.post("/campaigns/suppressed/", {"email": lead.email.upper()}, follow=True))
    assert f"{lead.email} is written to no more." in page and "Added by a person" in page
    lead.refresh_from_db()
    assert lead.state == "unsubscribed" and OutMessage.objects.get().state == "cancelled"
    page = text(client.post("/campaigns/suppressed/", {"email": lead.email}, follow=True))
    assert "stood on the list already" in page and Suppression.objects.count() == 1
    assert AuditEntry.objects.filter(action="address suppressed").count() == 1
    assert "Enter a valid email address." in text(client.post("/campaigns/suppressed/", {"email": "nobody"}))
    assert "No address fits" in text(client.get("/campaigns/suppressed/?q=zebra"))


def test_the_suppressed_addresses_cost_the_same_for_ten_and_sixty() -> None:
    costs = []
    for count in (10, 60):
        workspace = make_workspace()
        for number in range(count):
            Suppression.objects.create(workspace=workspace, email=f"no{number}@leads.test")
        costs.append(cost(customer(workspace), "/campaigns/suppressed/"))
    assert costs[0] == costs[1] <= 8


# ---- whose it is


@pytest.fixture
def theirs(db: None) -> Campaign:
    mailbox = working()
    campaign = campaign_of(mailbox.workspace, mailbox, leads=2)
    Suppression.objects.create(workspace=mailbox.workspace, email="theirs@leads.test")
    return campaign


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", ["", "edit/", "start/", "pause/", "leads/"])
def test_s5_a_foreign_campaign_is_as_if_it_were_not_there(theirs: Campaign, page: str, method: str) -> None:
    entries = AuditEntry.objects.count()
    nobody = User.objects.create_user("nobody", is_staff=True)
    outsider = Client()
    outsider.force_login(nobody)
    for client in (customer(make_workspace()), outsider):
        foreign = getattr(client, method)(f"/campaigns/{theirs.pk}/{page}").status_code
        missing = getattr(client, method)(f"/campaigns/999999/{page}").status_code
        assert foreign == missing and foreign in (404, 405)
    assert Client().get(f"/campaigns/{theirs.pk}/{page}").status_code == 302
    theirs.refresh_from_db()
    assert theirs.state == "draft" and AuditEntry.objects.count() == entries


def test_s5_lists_are_of_the_own_workspace(theirs: Campaign) -> None:
    client = customer(make_workspace())
    assert theirs.name not in text(client.get("/campaigns/"))
    assert "theirs@" not in text(client.get("/campaigns/suppressed/"))
    assert theirs.mailboxes.get().address not in text(client.get("/campaigns/new/"))


def test_looking_changes_nothing(theirs: Campaign) -> None:
    client = customer(theirs.workspace)
    entries = AuditEntry.objects.count()
    for page in ("start/", "pause/"):
        assert client.get(f"/campaigns/{theirs.pk}/{page}").status_code == 405
    for page in ("", "edit/", "leads/"):
        text(client.get(f"/campaigns/{theirs.pk}/{page}"))
    assert Campaign.objects.get().state == "draft" and AuditEntry.objects.count() == entries


def test_a5_staff_with_the_right_may_act_and_it_is_said(theirs: Campaign) -> None:
    user = User.objects.create_user("stan", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_campaign", "change_campaign", "add_lead"]))
    client = Client()
    client.force_login(user)
    for page in ("", "edit/", "leads/"):
        assert "You act as staff for" in text(client.get(f"/campaigns/{theirs.pk}/{page}"))
    assert client.post(f"/campaigns/{theirs.pk}/start/").status_code == 302
    assert Campaign.objects.get().state == "running"


def test_a_removed_mailbox_is_not_offered() -> None:
    workspace: Workspace = make_workspace()
    gone = make_mailbox(workspace=workspace)
    Mailbox.objects.filter(pk=gone.pk).update(removed_at=timezone.now())
    assert gone.address not in text(customer(workspace).get("/campaigns/new/"))
