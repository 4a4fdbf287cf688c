"""The unified inbox and its conversations as a customer reads and answers them (SPEC I3, I4, S5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mailboxes.models import AuditEntry, InboxState, Mailbox, OutMessage
from tests.make import make_mailbox, make_member, make_workspace
from tests.pages.customers import customer, text
from tests.pages.mail import break_down, cost, letter, working, written

pytestmark = pytest.mark.django_db


def test_i3_the_list_shows_sender_subject_beginning_mailbox_and_badges() -> None:
    mailbox = working()
    letter(mailbox, text="It begins so. " + "x" * 900 + "the end", seen=True, role="junk")
    letter(mailbox, kind="bounce", subject="Returned")
    letter(mailbox, kind="auto_reply", from_name="", from_address="away@leads.test")
    letter(mailbox, kind="warmup", subject="Warm-up mail")
    page = text(customer(mailbox.workspace).get("/inbox/"))
    for word in ("It begins so.", "Returned", "away@leads.test", mailbox.address, "Read elsewhere", "Found in junk"):
        assert word in page
    assert ">Bounce<" in page and ">Automatic reply<" in page
    assert "the end" not in page and "Warm-up mail" not in page


def test_i3_filters_search_and_mailbox_narrow_the_list() -> None:
    one = working()
    two = working(one.workspace)
    letter(one, subject="Apples from Kim")
    letter(two, subject="Pears from Lou")
    letter(two, subject="Away", kind="auto_reply")
    letter(two, subject="Returned", kind="bounce")
    client = customer(one.workspace)

    def shown(query: str) -> set[str]:
        page = text(client.get(f"/inbox/?{query}"))
        return {word for word in ("Apples", "Pears", ">Away<", ">Returned<") if word in page}

    assert shown("") == {"Apples", "Pears", ">Away<", ">Returned<"}
    assert shown("kind=message") == {"Apples", "Pears"}
    assert shown("kind=auto_reply") == {">Away<"}
    assert shown("kind=bounce") == {">Returned<"}
    assert shown("kind=nonsense&mailbox=²&page=²") == shown("")
    assert shown("q=kim+apples") == {"Apples"} and shown("q=kim+pears") == set()
    assert shown(f"mailbox={one.pk}") == {"Apples"}
    assert shown(f"mailbox={working().pk}") == shown("")


def test_the_list_has_friendly_words_for_nothing() -> None:
    workspace = make_workspace()
    client = customer(workspace)
    assert "Connect a mailbox first" in text(client.get("/inbox/"))
    working(workspace)
    assert "Nobody has written yet" in text(client.get("/inbox/"))
    assert "Nothing fits “zebra”" in text(client.get("/inbox/?q=zebra"))
    assert "No mail has come back" in text(client.get("/inbox/?kind=bounce"))


def test_i2_mailboxes_out_of_work_are_told_with_a_link_to_the_filter() -> None:
    workspace = make_workspace()
    working(workspace)
    client = customer(workspace)
    assert "cannot be read now" not in text(client.get("/inbox/"))
    for _number in range(2):
        break_down(working(workspace))
    page = text(client.get("/inbox/"))
    assert "2 mailboxes cannot be read now: what arrives is read when they are back" in page
    assert "/mailboxes/?needs=reconnect" in page


def test_the_list_costs_the_same_for_ten_and_sixty_messages() -> None:
    costs = []
    for count in (10, 60):
        workspace = make_workspace()
        for _number in range(count):
            letter(working(workspace))
        costs.append(cost(customer(workspace), "/inbox/"))
    assert costs[0] == costs[1] <= 14


def test_the_list_refreshes_its_own_part_and_has_pages_of_fifty() -> None:
    mailbox = working()
    for _number in range(51):
        letter(mailbox)
    client = customer(mailbox.workspace)
    assert "Page 1 of 2" in text(client.get("/inbox/"))
    part = text(client.get("/inbox/?page=2&kind=message", headers={"HX-Request": "true"}))
    assert "<html" not in part and 'id="letters"' in part and "page=2&amp;kind=message" in part


def test_i4_who_looks_has_the_mailboxes_read_at_once_and_often_but_no_others() -> None:
    mine, theirs = working(), working()
    sick = break_down(working(mine.workspace))
    later = timezone.now() + timedelta(minutes=4)
    InboxState.objects.update(next_read_at=later)
    client = customer(mine.workspace)
    client.get("/inbox/")
    state = InboxState.objects.get(mailbox=mine)
    assert state.watched_until and state.next_read_at and state.next_read_at < later
    InboxState.objects.update(next_read_at=later)
    client.get("/inbox/")
    assert InboxState.objects.get(mailbox=mine).next_read_at == later, "looking twice does not read twice"
    for other in (theirs, sick):
        assert InboxState.objects.get(mailbox=other).watched_until is None


# ---- a conversation


def test_i3_a_conversation_stands_in_order_with_who_when_and_what_became_of_it() -> None:
    mailbox = working()
    first = written(mailbox, "kim@leads.test", created_at=timezone.now() - timedelta(hours=2))
    OutMessage.objects.update(sent_at=timezone.now() - timedelta(hours=2))
    answer = letter(mailbox, thread=first.thread, text="<b>Yes</b>\n  gladly", from_name="Kim")
    page = text(customer(mailbox.workspace).get(f"/inbox/{answer.pk}/"))
    assert page.index("Hello there.") < page.index("&lt;b&gt;Yes&lt;/b&gt;\n  gladly")
    assert "Kim &lt;" in page and mailbox.address in page and ">Sent<" in page and "cannot send now" not in page


def test_i3_an_answer_is_queued_once_shown_as_waiting_and_audited() -> None:
    mailbox = working()
    message = letter(mailbox)
    user = make_member(mailbox.workspace)
    client = Client()
    client.force_login(user)
    for _press in range(2):
        page = text(client.post(f"/inbox/{message.pk}/reply/", {"text": "Thank you.\r\nBye"}, follow=True))
    assert "Thank you.\nBye" in page and ">Waiting<" in page and 'hx-trigger="every 5s"' in page
    row = OutMessage.objects.get()
    assert (row.purpose, row.recipient, row.thread) == ("reply", message.from_address, message.thread)
    assert AuditEntry.objects.get(action="reply written").actor == user
    OutMessage.objects.update(state="sent", sent_at=timezone.now())
    part = text(client.get(f"/inbox/{message.pk}/", headers={"HX-Request": "true"}))
    assert ">Sent<" in part and "hx-get" not in part and "<form" not in part


def test_i3_what_cannot_be_sent_is_told_at_the_field() -> None:
    message = letter(working())
    client = customer(message.mailbox.workspace)
    for words, fault in ((" ", "Write something first."), ("x" * 20_001, "longer than 20000 characters")):
        page = text(client.post(f"/inbox/{message.pk}/reply/", {"text": words}))
        assert fault in page and 'id="id_text_error"' in page
    message.from_address = "two words@leads.test"
    message.save()
    assert "Nothing can be sent to this address" in text(client.post(f"/inbox/{message.pk}/reply/", {"text": "Yes"}))
    assert not OutMessage.objects.exists()


def test_i3_a_bounce_is_not_answered_and_neither_is_mail_of_a_mailbox_that_only_reads() -> None:
    bounce = letter(working(), kind="bounce")
    reads = letter(make_mailbox(wants_smtp=False))
    for message in (bounce, reads):
        client = customer(message.mailbox.workspace)
        page = text(client.get(f"/inbox/{message.pk}/"))
        assert "<textarea" not in page and ("Nobody reads" in page or "does not send mail" in page)
        client.post(f"/inbox/{message.pk}/reply/", {"text": "Yes"})
    assert not OutMessage.objects.exists()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("broken", "cannot send now: Reconnect required (Wrong password or login)."),
        ("held", "it is paused by support (as asked)"),
        ("resting", "sending limit until"),
        ("risk", "too much of its mail came back"),
        ("unread", "what has arrived meanwhile is read first"),
    ],
)
def test_i3_why_an_answer_waits_is_said(how: str, words: str) -> None:
    mailbox, later = working(), timezone.now() + timedelta(hours=1)
    values: dict[str, dict[str, Any]] = {
        "held": {"held_since": timezone.now(), "hold_reason": "as asked"},
        "resting": {"resting_until": later},
        "risk": {"risk_until": later},
    }
    Mailbox.objects.filter(pk=mailbox.pk).update(**values.get(how, {"sender_name": ""}))
    if how == "broken":
        break_down(mailbox)
    if how == "unread":
        InboxState.objects.update(complete_at=None)
    page = text(customer(mailbox.workspace).get(f"/inbox/{letter(mailbox).pk}/"))
    assert "cannot send now" in page and words in page and "<textarea" in page


@pytest.mark.parametrize("place", ["/inbox/{}/", "/inbox/{}/reply/"])
def test_s5_letters_are_for_members_alone(place: str, support_client: Client) -> None:
    message = letter(working())
    for client in (customer(make_workspace()), support_client):
        for pk in (message.pk, 999_999):
            assert client.post(place.format(pk), {"text": "Yes"}).status_code == 404
            assert client.get(place.format(pk)).status_code in (404, 405)
    assert not OutMessage.objects.exists()


def test_s5_a_conversation_shows_nothing_of_another_workspace_and_no_warm_up() -> None:
    mine, theirs = working(), working()
    message = letter(mine, thread="<same@x.test>")
    letter(theirs, thread="<same@x.test>", text="A stranger's words.")
    client = customer(mine.workspace)
    assert "stranger" not in text(client.get(f"/inbox/{message.pk}/"))
    assert client.get(f"/inbox/{letter(mine, kind='warmup').pk}/").status_code == 404


def test_looking_answers_nothing() -> None:
    message = letter(working())
    client = customer(message.mailbox.workspace)
    assert client.get(f"/inbox/{message.pk}/reply/").status_code == 405
    assert not OutMessage.objects.exists() and not AuditEntry.objects.filter(action="reply written").exists()


def test_pages_are_for_members_of_a_workspace(support_client: Client) -> None:
    for place in ("/inbox/", "/campaigns/", "/campaigns/new/", "/campaigns/suppressed/", "/warm-up/"):
        assert support_client.get(place).status_code == 404
        assert Client().get(place)["Location"].startswith("/sign-in/")
