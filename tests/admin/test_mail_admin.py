"""Inbox and outbox in the admin: lists, pages, answers, and the word of staff on unknown messages (SPEC I3, K4, A2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from mailboxes.models import AuditEntry, InMessage, OutMessage, StatusChange
from tests.admin.mail import (
    CAMPAIGNS,
    INBOX,
    LISTS,
    OUTBOX,
    arrive,
    at_work,
    client_with,
    exchanged,
    pages,
    sent_out,
    some,
)
from tests.admin.test_mailbox_admin import broken, query_count, text
from tests.post import make_pool
from warmup.models import Exchange

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("url", [*LISTS, f"{CAMPAIGNS}add/", "/admin/campaigns/suppression/add/", "/admin/"])
def test_every_list_opens_empty(support_client: Client, url: str) -> None:
    text(support_client, url)


def test_every_page_opens(support_client: Client) -> None:
    some(1)
    for admin_list in LISTS:
        model = support_client.get(admin_list).context["cl"].model
        for url in pages(model.objects.all()):
            text(support_client, url)


@pytest.mark.parametrize("url", [*LISTS, "/admin/"])
def test_a_list_costs_the_same_queries_for_10_and_60_rows(support_client: Client, url: str) -> None:
    some(10)
    support_client.get(url)
    few = query_count(support_client, url)
    some(50)
    assert query_count(support_client, url) == few


@pytest.mark.parametrize("url", LISTS)
def test_nobody_opens_a_list_without_the_right(url: str) -> None:
    assert client_with("view_mailbox").get(url).status_code == 403


@pytest.mark.parametrize("row", ["inmessage", "outmessage", "exchange", "lead"])
def test_machine_written_rows_are_not_added_edited_or_deleted(support_client: Client, row: str) -> None:
    some(1)
    place = next(one for one in LISTS if one.endswith(f"/{row}/"))
    found: Any = support_client.get(place).context["cl"].model.objects.first()
    assert support_client.get(f"{place}add/").status_code == 403
    assert support_client.post(f"{place}{found.pk}/delete/", {"post": "yes"}).status_code == 403
    support_client.post(place, {"action": "delete_selected", "_selected_action": [found.pk], "post": "yes"})
    assert type(found).objects.filter(pk=found.pk).exists()


# ---- the inbox


def test_i3_the_inbox_leaves_warm_up_mail_out_until_it_is_asked_for(support_client: Client) -> None:
    mailbox = at_work()
    arrive(mailbox, subject="A person writes"), arrive(mailbox, subject="Warming", kind="warmup")
    shown = text(support_client, INBOX)
    assert "A person writes" in shown and "Warming" not in shown and "All but warm-up" in shown
    only = text(support_client, f"{INBOX}?kind=warmup")
    assert "Warming" in only and "A person writes" not in only


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("role=junk", "second"), ("kind=bounce", "second"), ("q=first@", "first"), ("q=%40two.test", "second"),
        ("q=question", "first"), ("q=answer+plea", ""), ("lately=day", "first"),
    ],
)  # fmt: skip
def test_i3_filters_and_search(support_client: Client, query: str, found: str) -> None:
    mailbox = at_work()
    arrive(mailbox, from_address="first@one.test", subject="A question")
    late = timezone.now() - timedelta(days=2)
    arrive(mailbox, from_address="second@two.test", subject="An answer", role="junk", kind="bounce", arrived_at=late)
    shown = text(support_client, f"{INBOX}?{query}")
    assert [
        name for name in ("first", "second") if f"{name}@" in shown.replace(f'value="{found}@', "")
    ] == found.split()


def test_i3_the_inbox_of_one_workspace(support_client: Client) -> None:
    mine, other = arrive(at_work()), arrive(at_work())
    shown = text(support_client, f"{INBOX}?mailbox__workspace__id__exact={mine.mailbox.workspace_id}")
    assert mine.from_address in shown and other.from_address not in shown


def test_i3_a_message_is_shown_in_its_conversation(support_client: Client) -> None:
    mailbox = at_work()
    first = sent_out(mailbox, subject="An offer", body="We offer it.", thread="<t@x>")
    answer = arrive(mailbox, thread="<t@x>", text="<script>alert(1)</script> and more", answers=first, role="junk")
    shown = text(support_client, pages([answer])[0])
    assert "We offer it." in shown and "and more" in shown and "found in Junk" in shown
    assert "<script>alert(1)" not in shown
    assert shown.index("We offer it.") < shown.index("and more")


def test_i3_an_answer_is_queued_from_the_mailbox_and_audited(support_client: Client, support: User) -> None:
    message = arrive(at_work())
    place = pages([message])[0]
    assert support_client.post(place, {"text": "With pleasure."}).status_code == 302
    answer = OutMessage.objects.get()
    assert (answer.purpose, answer.recipient, answer.thread) == ("reply", message.from_address, message.thread)
    assert AuditEntry.objects.get(action="reply written").actor == support
    assert "With pleasure." in text(support_client, place)


def test_i3_an_answer_that_cannot_be_sent_says_so_at_its_field(support_client: Client) -> None:
    message = arrive(at_work())
    response = support_client.post(pages([message])[0], {"text": "  "})
    assert response.context["form"].errors["text"] == ["Write something first."]
    assert not OutMessage.objects.exists()


@pytest.mark.parametrize("kind", ["warmup", "bounce"])
def test_i3_nobody_answers_machines(support_client: Client, kind: str) -> None:
    place = pages([arrive(at_work(), kind=kind)])[0]
    assert "Send the answer" not in text(support_client, place)
    assert support_client.post(place, {"text": "Hello"}).status_code == 403


def test_i3_an_answer_wants_its_right() -> None:
    message, viewer = arrive(at_work()), client_with("view_inmessage")
    place = pages([message])[0]
    assert "Send the answer" not in text(viewer, place)
    assert viewer.post(place, {"text": "Hello"}).status_code == 403
    assert client_with("change_inmessage").post(place, {"text": "Hello"}).status_code == 302
    assert client_with("view_mailbox").get(place).status_code == 403
    assert OutMessage.objects.count() == 1


# ---- the outbox


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=unknown", "two"), ("purpose=reply", "two"), ("q=one@leads.test", "one"), ("q=two", "two"),
        ("q=mark-two%40example.test", "two"), ("q=%3Cmark-two%40example.test%3E", "two"), ("q=ONE@leads.test", "one"),
    ],
)  # fmt: skip
def test_k4_filters_and_search(support_client: Client, query: str, found: str) -> None:
    mailbox = at_work()
    sent_out(mailbox, recipient="one@leads.test", subject="Uno")
    sent_out(mailbox, "unknown", recipient="two@leads.test", subject="Due", message_id="<mark-two@example.test>",
             purpose="reply")  # fmt: skip
    shown = text(support_client, f"{OUTBOX}?{query}")
    assert [name for name, word in (("one", "Uno"), ("two", "Due")) if f">{word}<br>" in shown] == [found]


def test_k4_the_page_shows_body_and_the_servers_words(support_client: Client) -> None:
    row = sent_out(at_work(), "refused", text="550 no such user", body="Dear <b>you</b>")
    shown = text(support_client, pages([row])[0])
    assert "550 no such user" in shown and "Dear &lt;b&gt;you" in shown and "pm-red" in shown
    assert "Send it again" not in shown


@pytest.mark.parametrize(
    ("deed", "state", "action"),
    [("sent", "sent", "unknown message taken as sent"), ("again", "queued", "unknown message sent again")],
)
def test_k4_an_unknown_message_is_decided_on_its_page(
    support_client: Client, support: User, deed: str, state: str, action: str
) -> None:
    row = sent_out(at_work(), "unknown")
    assert "Nobody knows" in text(support_client, pages([row])[0])
    assert support_client.post(f"{OUTBOX}{row.pk}/{deed}/", {"confirmed": "1"}).status_code == 302
    row.refresh_from_db()
    assert row.state == state
    assert (entry := AuditEntry.objects.get(action=action)).actor == support and entry.mailbox == row.mailbox


def test_k4_sending_again_wants_a_word_on_the_second_copy(support_client: Client) -> None:
    row = sent_out(at_work(), "unknown")
    support_client.post(f"{OUTBOX}{row.pk}/again/")
    row.refresh_from_db()
    assert row.state == "unknown"


@pytest.mark.parametrize("deed", ["sent", "again"])
def test_k4_deciding_takes_a_post_and_its_right(support_client: Client, deed: str) -> None:
    row, viewer = sent_out(at_work(), "unknown"), client_with("view_outmessage")
    assert support_client.get(f"{OUTBOX}{row.pk}/{deed}/").status_code == 405
    assert viewer.post(f"{OUTBOX}{row.pk}/{deed}/", {"confirmed": "1"}).status_code == 403
    assert "It was sent" not in text(viewer, pages([row])[0])
    viewer.post(OUTBOX, {"action": "it_was_sent", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.state == "unknown"


def test_k4_many_are_decided_and_what_is_known_stays(support_client: Client) -> None:
    mailbox = at_work()
    ids = [sent_out(mailbox, state).pk for state in ("unknown", "unknown", "refused")]
    support_client.post(OUTBOX, {"action": "it_was_sent", "_selected_action": ids})
    assert sorted(OutMessage.objects.values_list("state", flat=True)) == ["refused", "sent", "sent"]


def test_k4_many_are_sent_again_after_a_question(support_client: Client) -> None:
    mailbox = at_work()
    ids = [sent_out(mailbox, state).pk for state in ("unknown", "unknown", "sent")]
    asked = support_client.post(OUTBOX, {"action": "send_it_again", "_selected_action": ids})
    assert "Send 2 messages again?" in asked.content.decode() and "a second copy arrives" in asked.content.decode()
    assert OutMessage.objects.filter(state="unknown").count() == 2
    support_client.post(OUTBOX, {"action": "send_it_again", "_selected_action": ids, "confirmed": "1"})
    assert sorted(OutMessage.objects.values_list("state", flat=True)) == ["queued", "queued", "sent"]
    assert AuditEntry.objects.filter(action="unknown message sent again").count() == 2


# ---- the first page and the side bar


def test_a2_the_first_page_counts_mail_and_links_to_it(support_client: Client) -> None:
    mailbox = at_work()
    sent_out(mailbox), sent_out(mailbox, "unknown"), arrive(mailbox), arrive(mailbox, kind="bounce")
    arrive(mailbox, kind="warmup")
    tiles = {tile.label: tile for tile in support_client.get("/admin/").context["tiles"]}
    assert {label: tile.number for label, tile in tiles.items()} == {
        "Sent": "1", "Received": "2", "Bounces": "1", "Unknown whether sent": "1", "Held campaigns": "0",
    }  # fmt: skip
    for tile in tiles.values():
        assert str(support_client.get(tile.url).context["cl"].result_count) == tile.number


def test_a2_tiles_are_for_those_who_may_see_the_lists() -> None:
    broken()
    assert client_with("view_mailbox").get("/admin/").context["tiles"] == []


def test_histories_are_long_and_counted_up_to_a_bound(support_client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr("mailboxes.admin.base.MOST_COUNTED", 3)
    mailbox = at_work()
    for _number in range(5):
        arrive(mailbox)
    assert support_client.get(INBOX).context["cl"].result_count == 3


def test_the_exchanges_of_a_mailbox(support_client: Client) -> None:
    pool = make_pool([at_work(), at_work()], timezone.now())
    first, second = pool.members.order_by("id")
    exchanged(first, second, "junk"), exchanged(second, first, failed="It was returned.")
    assert not StatusChange.objects.filter(to_status="error").exists()
    place = "/admin/warmup/exchange/"
    shown = text(support_client, f"{place}?placement=junk")
    assert support_client.get(f"{place}?placement=junk").context["cl"].result_count == 1
    assert 'pm-orange" title="">Junk' in shown
    mine = support_client.get(f"{place}?sender__mailbox__id__exact={second.mailbox_id}").context["cl"]
    assert [one.failed for one in mine.result_list] == ["It was returned."]
    assert Exchange.objects.count() == 2 and not InMessage.objects.exists()
