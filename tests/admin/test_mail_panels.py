"""Warm-up in the admin, and what the mailbox's page tells of mail: panels, resting, what will resume (A4, X5)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from mailboxes.health import holds
from mailboxes.health.record import record
from mailboxes.models import AuditEntry, Mailbox, StatusChange
from mailboxes.panels import panels, resumes
from mailboxes.wire.values import Leg
from tests.admin.mail import MEMBERS, POOLS, at_work, campaign_with_lead, client_with, exchanged, pages, sent_out
from tests.admin.test_mailbox_admin import LIST, broken, page, text
from tests.make import REFUSED, evidence
from tests.post import make_pool
from warmup.models import PoolMember

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def breaks(mailbox: Mailbox, days_ago: float = 0) -> Mailbox:
    """Its password is refused from now on, or since so many days."""
    now = timezone.now()
    record([evidence(mailbox, Leg.SMTP, REFUSED, at=now)], now=now)
    StatusChange.objects.filter(mailbox=mailbox, from_status="connected").update(at=now - days_ago * DAY)
    return Mailbox.objects.get(pk=mailbox.pk)


def told(mailbox: Mailbox) -> dict[str, list[str]]:
    return {one.title: [words for words, _url in one.lines] for one in panels(mailbox)}


def test_a4_a_working_mailbox_tells_what_it_does() -> None:
    mailbox = at_work()
    campaign, _lead = campaign_with_lead(mailbox)
    pool = make_pool([mailbox, at_work()], timezone.now())
    first, second = pool.members.order_by("id")
    exchanged(first, second), exchanged(first, second, "junk")
    shown = told(mailbox)
    assert shown["Inbox and outbox"] == ["Everything was read, just now", "No message waits to be sent"]
    assert shown["Campaigns"] == [f"{campaign.name}: running, 1 conversation under way"]
    assert shown["Warm-up"] == [
        f"{pool.name}: exchanges warm-up mail", "Today: 0 of 5 sent, 0 received",
        "Last 7 days: 50 % of 2 found in the inbox, not in junk",
    ]  # fmt: skip
    assert resumes(mailbox, panels(mailbox)) == ""


def test_x5_a_broken_one_tells_what_reconnecting_will_resume(support_client: Client) -> None:
    mailbox = at_work()
    for _number in range(2):
        campaign_with_lead(mailbox)
    campaign_with_lead(mailbox, "paused")
    sent_out(mailbox, "queued"), sent_out(mailbox, "queued"), sent_out(mailbox, "unknown")
    sent_out(mailbox, "queued", purpose="warmup")
    make_pool([mailbox, at_work()], timezone.now())
    mailbox = breaks(mailbox, days_ago=9)
    until = mailbox.inbox_state.complete_at
    assert until is not None
    moment = f"{until:%-d %b, %H:%M} UTC"
    shown = told(mailbox)
    assert shown["Inbox and outbox"] == [
        f"Read until {moment}; nothing since, which is a gap of seconds", "2 messages wait to be sent",
        "1 message was handed over, and the server's yes never came",
    ]  # fmt: skip
    held = [line for line in shown["Campaigns"] if "held since" in line]
    assert len(held) == 2 and all(
        "1 conversation waits for this mailbox" in line and "cannot send" in line for line in held
    )
    assert "Comes back at 50 % and climbs over 7 days" in shown["Warm-up"]
    sentence = (
        f"When it is back: mail since {moment} is read first, 2 messages go out, "
        "2 conversations in 2 campaigns go on, warm-up returns at 50 %."
    )
    assert resumes(mailbox, panels(mailbox)) == sentence
    assert sentence in text(support_client, page(mailbox))


def test_x5_a_short_gap_and_nothing_waiting() -> None:
    mailbox = at_work()
    make_pool([mailbox], timezone.now())
    mailbox = breaks(mailbox)
    assert resumes(mailbox, panels(mailbox)).endswith("is read first, warm-up goes on at its old pace.")


def test_a4_a_new_mailbox_and_one_that_only_sends() -> None:
    assert told(broken())["Inbox and outbox"] == ["Not read yet", "No message waits to be sent"]
    mailbox = broken(wants_imap=False)
    assert told(mailbox)["Inbox and outbox"][0] == "It is set up to send only: nothing is read"
    assert resumes(mailbox, panels(mailbox)) == ""


def test_a4_panels_link_to_the_filtered_lists(support_client: Client) -> None:
    mailbox = at_work()
    campaign_with_lead(mailbox), sent_out(mailbox, "unknown"), sent_out(at_work(), "unknown")
    make_pool([mailbox], timezone.now())
    urls = [url for one in panels(mailbox) for _words, url in one.lines if url]
    assert len(urls) >= 5
    for url in urls:
        text(support_client, url)
    unknown = next(url for url in urls if "state=unknown" in url)
    assert support_client.get(unknown).context["cl"].result_count == 1


def test_h13_k6_resting_at_a_limit_and_as_a_risk_are_told_apart(support_client: Client) -> None:
    now = timezone.now()
    limited, risky = at_work(), at_work()
    Mailbox.objects.filter(pk=limited.pk).update(resting_until=now + HOUR, resting_reason="550 5.4.5 Daily limit")
    reason = "8 of 120 messages bounced: more than 5%."
    Mailbox.objects.filter(pk=risky.pk).update(risk_until=now + HOUR, risk_reason=reason)
    shown = text(support_client, LIST)
    assert ">Resting</span>" in shown and ">Resting: bounces</span>" in shown and reason in shown
    for query, found, other in (("yes", limited, risky), ("risk", risky, limited)):
        listed = support_client.get(f"{LIST}?resting={query}").context["cl"].result_list
        assert found in listed and other not in listed
    on_page = text(support_client, page(risky))
    assert "Resting: 8 of 120 messages bounced" in on_page and "Too many bounces" in on_page
    assert "Sending limit." not in on_page


def test_k6_a_rest_that_is_over_is_not_shown(support_client: Client) -> None:
    mailbox = at_work()
    Mailbox.objects.filter(pk=mailbox.pk).update(risk_until=timezone.now() - HOUR, risk_reason="8 of 120: more")
    assert "Resting" not in text(support_client, page(mailbox))


# ---- pools and members


def test_w2_members_are_listed_with_whether_they_exchange_mail(support_client: Client) -> None:
    works, other = at_work(), broken()
    pool = make_pool([works, other, at_work()], timezone.now())
    PoolMember.objects.filter(mailbox=works).update(day=timezone.now().date(), sent_today=2, received_today=3)
    shown = text(support_client, f"{MEMBERS}?pool__id__exact={pool.pk}")
    assert shown.count(">Exchanges mail</span>") == 2 and shown.count(">Out for now</span>") == 1
    assert "2 of 5" in shown and "The mailbox&#x27;s state: Reconnect required" in shown
    for query in (f"q={works.address}", f"mailbox__workspace__id__exact={works.workspace_id}", "active__exact=1"):
        assert works.address in text(support_client, f"{MEMBERS}?{query}")
    listed = text(support_client, POOLS)
    assert f"?pool__id__exact={pool.pk}&amp;active__exact=1" in listed and "5 a day, +1 each day, up to 30" in listed


def test_w1_staff_take_a_member_out_and_put_it_back(support_client: Client, support: User) -> None:
    pool = make_pool([at_work()], timezone.now())
    member = pool.members.get()
    for action, active in (("take_out", False), ("put_back", True)):
        support_client.post(MEMBERS, {"action": action, "_selected_action": [member.pk]})
        member.refresh_from_db()
        assert member.active is active
    entries = AuditEntry.objects.filter(actor=support, mailbox=member.mailbox).order_by("id")
    assert list(entries.values_list("action", flat=True)) == ["warm-up left", "warm-up joined"]


def test_w1_taking_out_wants_its_right() -> None:
    member = make_pool([at_work()], timezone.now()).members.get()
    viewer = client_with("view_poolmember")
    viewer.post(MEMBERS, {"action": "take_out", "_selected_action": [member.pk]})
    assert PoolMember.objects.get().active
    assert client_with("view_pool").post(MEMBERS, {"action": "take_out"}).status_code == 403
    assert "Take out" not in text(viewer, MEMBERS)


def test_w1_a_pool_with_members_is_not_deleted(support_client: Client) -> None:
    pool = make_pool([at_work()], timezone.now())
    assert support_client.post(f"{POOLS}{pool.pk}/delete/", {"post": "yes"}).status_code == 403
    PoolMember.objects.all().delete()
    assert support_client.post(f"{POOLS}{pool.pk}/delete/", {"post": "yes"}).status_code == 302


def test_w1_a_pools_ramp_is_changed(support_client: Client) -> None:
    pool = make_pool([at_work()], timezone.now())
    assert "Exchange mail now" in text(support_client, pages([pool])[0])
    values = {"name": "Ours", "start": 6, "step": 2, "ceiling": 40, "answered_percent": 20}
    assert support_client.post(pages([pool])[0], values).status_code == 302
    pool.refresh_from_db()
    assert (pool.start, pool.step, pool.ceiling) == (6, 2, 40)


def test_k3_a_paused_mailbox_holds_its_campaign(support_client: Client, support: User) -> None:
    mailbox = at_work()
    campaign_with_lead(mailbox)
    holds.hold([mailbox.pk], reason="on holiday", acting_user=support, now=timezone.now())
    mailbox.refresh_from_db()
    [line] = told(mailbox)["Campaigns"]
    assert "held since" in line and "Paused" in line and "waits for this mailbox" in line
    assert Campaign.objects.get().state == "running"
