"""Campaigns in the admin: held ones, start and pause, leads from a file, suppressions (SPEC K1 to K3, K5)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from campaigns.models import Campaign, Lead, LeadMessage, Suppression
from mailboxes.models import AuditEntry
from tests.admin.mail import CAMPAIGNS, LEADS, SUPPRESSIONS, at_work, campaign_with_lead, client_with, pages, sent_out
from tests.admin.test_mailbox_admin import broken, text
from tests.make import make_workspace
from tests.post import make_campaign

pytestmark = pytest.mark.django_db


@pytest.fixture
def each() -> None:
    """One campaign of each kind."""
    campaign_with_lead(at_work(), name="Spring runs")
    campaign_with_lead(broken(), name="Summer is held")
    campaign_with_lead(at_work(), "paused", name="Autumn paused")
    campaign_with_lead(at_work(), "draft", name="Winter drafted")


@pytest.mark.parametrize(
    ("doing", "found"),
    [
        ("running", "Spring runs"), ("held", "Summer is held"), ("paused", "Autumn paused"),
        ("draft", "Winter drafted"),
    ],
)  # fmt: skip
def test_k3_filters_tell_held_from_running(support_client: Client, each: None, doing: str, found: str) -> None:
    listed = support_client.get(f"{CAMPAIGNS}?doing={doing}").context["cl"].result_list
    assert [one.name for one in listed] == [found]


def test_k3_held_stands_in_the_list_and_on_the_page_with_its_reason(support_client: Client) -> None:
    campaign, _lead = campaign_with_lead(broken())
    reason = "Its only mailbox cannot send at the moment (Reconnect required)."
    shown = text(support_client, CAMPAIGNS)
    assert f'pm-orange" title="{reason}' in shown and "0 of 1" in shown
    shown = text(support_client, pages([campaign])[0])
    assert reason in shown and "Held" in shown


def test_k1_the_list_counts_leads_and_messages(support_client: Client) -> None:
    campaign, lead = campaign_with_lead(at_work())
    Lead.objects.filter(pk=lead.pk).update(state="replied")
    [row] = support_client.get(CAMPAIGNS).context["cl"].result_list
    counted = vars(row)["counted"]
    assert (counted.total, counted.sent, counted.replied, counted.bounced, vars(row)["boxes"]) == (1, 1, 1, 0, (1, 1))
    assert row == campaign


def test_k3_start_and_pause_are_audited(support_client: Client, support: User) -> None:
    campaign, _lead = campaign_with_lead(at_work(), "draft")
    for deed, state in (("start", "running"), ("pause", "paused"), ("start", "running")):
        assert support_client.post(f"{CAMPAIGNS}{campaign.pk}/{deed}/").status_code == 302
        campaign.refresh_from_db()
        assert campaign.state == state
    actions = AuditEntry.objects.filter(actor=support).order_by("id").values_list("action", flat=True)
    assert list(actions) == ["campaign started", "campaign paused", "campaign started"]


def test_k3_what_it_lacks_is_said(support_client: Client) -> None:
    campaign = make_campaign([at_work()], [])
    place = pages([campaign])[0]
    assert "It has no leads" in text(support_client, place)
    response = support_client.post(f"{CAMPAIGNS}{campaign.pk}/start/", follow=True)
    assert "It has no leads: import some." in response.content.decode()
    assert Campaign.objects.get().state == "draft"


@pytest.mark.parametrize("deed", ["start", "pause", "import"])
def test_k3_deeds_want_a_post_and_their_right(support_client: Client, deed: str) -> None:
    campaign, _lead = campaign_with_lead(at_work(), "draft" if deed == "start" else "running")
    before, viewer = campaign.state, client_with("view_campaign", "view_lead")
    place = f"{CAMPAIGNS}{campaign.pk}/{deed}/"
    assert viewer.post(place, file()).status_code == 403
    assert viewer.get(place).status_code == (403 if deed == "import" else 405)
    shown = text(viewer, pages([campaign])[0])
    assert place not in shown
    assert Campaign.objects.get().state == before and Lead.objects.count() == 1 and not AuditEntry.objects.filter(
        action__contains="campaign"
    )  # fmt: skip


def form(campaign: Campaign | None = None, **values: Any) -> dict[str, Any]:
    steps = list(campaign.steps.all()) if campaign else []
    data: dict[str, Any] = {
        "name": campaign.name if campaign else "New", "zone": "UTC", "window_from": "08:00:00",
        "window_to": "18:00:00", "daily_limit": 40, "spacing_minutes": 8, "move_after_days": 3,
        "steps-TOTAL_FORMS": len(steps) + 1, "steps-INITIAL_FORMS": len(steps), "steps-MIN_NUM_FORMS": 0,
        "steps-MAX_NUM_FORMS": 1000,
    }  # fmt: skip
    for at, step in enumerate(steps):
        data |= {f"steps-{at}-id": step.pk, f"steps-{at}-wait_days": 2, f"steps-{at}-body": step.body}
        data |= {f"steps-{at}-subject": step.subject, f"steps-{at}-campaign": step.campaign_id}
    return data | values


def new_step(at: int) -> dict[str, Any]:
    return {f"steps-{at}-wait_days": 4, f"steps-{at}-subject": "", f"steps-{at}-body": "One more."}


def test_k1_a_campaign_is_written_with_its_steps(support_client: Client) -> None:
    mailbox = at_work()
    values = form(workspace=mailbox.workspace_id, mailboxes=[mailbox.pk]) | new_step(0) | {"steps-0-subject": "Hello"}
    assert support_client.post(f"{CAMPAIGNS}add/", values).status_code == 302
    campaign = Campaign.objects.get()
    assert (campaign.state, list(campaign.mailboxes.all())) == ("draft", [mailbox])
    assert list(campaign.steps.values_list("number", "subject")) == [(1, "Hello")]


def test_k2_settings_are_changed_beside_a_running_state(support_client: Client) -> None:
    mailbox, other = at_work(), at_work()
    campaign, lead = campaign_with_lead(mailbox)
    other.workspace = mailbox.workspace
    other.save(update_fields=["workspace"])
    waiting = sent_out(mailbox, "queued", recipient=lead.email)
    LeadMessage.objects.create(lead=lead, step=2, out=waiting)
    values = form(campaign, mailboxes=[other.pk], daily_limit=7) | new_step(2)
    assert support_client.post(pages([campaign])[0], values).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.state, campaign.daily_limit) == ("running", 7)
    assert list(campaign.steps.values_list("number", "wait_days")) == [(1, 2), (2, 2), (3, 4)]
    waiting.refresh_from_db()
    assert waiting.state == "cancelled", "its conversation goes on from another mailbox"
    assert AuditEntry.objects.filter(action="campaign changed").count() == 1


def test_s5_a_mailbox_of_another_workspace_is_refused(support_client: Client) -> None:
    campaign, _lead = campaign_with_lead(at_work())
    response = support_client.post(pages([campaign])[0], form(campaign, mailboxes=[at_work().pk]))
    assert "Of another workspace" in response.context["adminform"].form.errors["mailboxes"][0]


def test_a_campaign_that_ran_is_not_deleted(support_client: Client) -> None:
    campaign, _lead = campaign_with_lead(at_work())
    assert support_client.post(f"{CAMPAIGNS}{campaign.pk}/delete/", {"post": "yes"}).status_code == 403


# ---- leads


def file(content: str = "email,company\nnew@leads.test,Acme\nnonsense,X\n") -> dict[str, Any]:
    return {"file": SimpleUploadedFile("leads.csv", content.encode(), "text/csv")}


def test_k1_a_file_is_checked_first_and_imported_when_chosen_again(support_client: Client, support: User) -> None:
    campaign, _lead = campaign_with_lead(at_work())
    place = f"{CAMPAIGNS}{campaign.pk}/import/"
    checked = support_client.post(place, file())
    shown = checked.content.decode()
    assert "1 lead can be imported, 1 line cannot" in shown and "This is no email address." in shown
    assert campaign.leads.count() == 1
    name = checked.context["checked"]
    other = support_client.post(place, file("email\nother@leads.test\n") | {"checked": name})
    assert "This is another file" in other.content.decode() and campaign.leads.count() == 1
    assert support_client.post(place, file() | {"checked": name}).status_code == 302
    assert campaign.leads.get(email="new@leads.test").fields == {"company": "Acme"}
    assert AuditEntry.objects.get(action="leads imported").actor == support


@pytest.mark.parametrize(
    ("content", "words"), [("name\nAnna\n", "no column “email”"), ("", "no column “email”")]
)  # fmt: skip
def test_k1_a_file_that_cannot_be_read_says_so_at_its_field(support_client: Client, content: str, words: str) -> None:
    campaign, _lead = campaign_with_lead(at_work())
    response = support_client.post(f"{CAMPAIGNS}{campaign.pk}/import/", file(content))
    assert words in response.context["form"].errors["file"][0]


@pytest.mark.parametrize("query", ["state=active", "q=lead", "campaign__id__exact={}"])
def test_k2_leads_are_listed_with_their_home(support_client: Client, query: str) -> None:
    mailbox = at_work()
    campaign, lead = campaign_with_lead(mailbox)
    campaign_with_lead(at_work(), "paused")
    Lead.objects.exclude(pk=lead.pk).update(state="replied", email="somebody@else.test")
    shown = text(support_client, f"{LEADS}?{query.format(campaign.pk)}")
    assert lead.email in shown and mailbox.address in shown and "somebody@else.test" not in shown
    assert sent_out(mailbox).subject not in text(support_client, pages([lead])[0])


def test_k5_an_address_is_suppressed_and_its_conversation_ends(support_client: Client, support: User) -> None:
    campaign, lead = campaign_with_lead(at_work())
    values = {"workspace": campaign.workspace_id, "email": lead.email.upper()}
    assert support_client.post(f"{SUPPRESSIONS}add/", values).status_code == 302
    row = Suppression.objects.get()
    assert (row.email, row.reason) == (lead.email, "added")
    assert Lead.objects.get().state == "unsubscribed"
    assert AuditEntry.objects.get(action="address suppressed").actor == support
    assert support_client.post(f"{SUPPRESSIONS}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    again = support_client.post(f"{SUPPRESSIONS}add/", values)
    assert again.status_code == 200 and Suppression.objects.count() == 1


def held_leads(amount: int) -> list[Lead]:
    """Leads that reports without proof hold, and one that none does."""
    leads = [campaign_with_lead(at_work())[1] for _number in range(amount + 1)]
    Lead.objects.filter(pk__in=[one.pk for one in leads[1:]]).update(state="held", due_at=None)
    return leads


@pytest.mark.parametrize(("action", "state", "entry"), [
    ("are_gone", "bounced", "lead taken as undeliverable"), ("go_on", "active", "held lead goes on"),
])  # fmt: skip
def test_m4_staff_decide_on_held_leads_alone(
    support_client: Client, support: User, action: str, state: str, entry: str
) -> None:
    free, *held = held_leads(2)
    assert "Probably undeliverable" in text(support_client, f"{LEADS}?state=held")
    support_client.post(LEADS, {"action": action, "_selected_action": [one.pk for one in (free, *held)]})
    found = Lead.objects.in_bulk()
    assert {found[one.pk].state for one in held} <= {state, "finished"}
    assert found[free.pk].state == free.state
    assert list(AuditEntry.objects.filter(action=entry).values_list("actor", flat=True)) == [support.pk] * 2
    assert Suppression.objects.count() == (2 if action == "are_gone" else 0)


def test_m4_deciding_wants_its_right() -> None:
    [_free, lead] = held_leads(1)
    client_with("view_lead").post(LEADS, {"action": "are_gone", "_selected_action": [lead.pk]})
    assert Lead.objects.get(pk=lead.pk).state == "held"


def test_k5_suppressing_wants_its_right() -> None:
    values = {"workspace": make_workspace().pk, "email": "a@b.test"}
    assert client_with("view_suppression").post(f"{SUPPRESSIONS}add/", values).status_code == 403
    assert not Suppression.objects.exists()
