"""Warm-up as a customer sees it: who takes part, how far, where mail was found; joining, leaving (SPEC W1, W2, S5)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from mailboxes.models import AuditEntry, Mailbox, OutMessage
from tests.make import make_mailbox, make_workspace
from tests.pages.customers import customer, text
from tests.pages.mail import break_down, cost, exchanged, member_of, pool_of, working
from warmup.models import PoolMember

pytestmark = pytest.mark.django_db


def test_w1_a_member_with_its_pool_today_and_seven_days() -> None:
    mine, theirs = working(), working()
    pool = pool_of(mine, theirs, name="Everybody")
    here, there = pool.members.order_by("pk")
    PoolMember.objects.filter(pk=here.pk).update(day=timezone.now().date(), sent_today=3, days_sent=2)
    for placement in ("inbox", "inbox", "inbox", "junk"):
        exchanged(here, there, placement)
    exchanged(here, there, "", failed="550 unknown")
    exchanged(there, here, answered=True)
    page = text(customer(mine.workspace).get("/warm-up/"))
    assert "Everybody" in page and "today 3 of 7 sent" in page and ">Exchanges mail<" in page
    assert "75 % in the inbox" in page and "(of 4 found)" in page and 'value="75"' in page
    assert "5 sent · 3 inbox · 1 junk · 1 did not arrive · 0 answered · 1 received" in page
    assert ">Junk<" in page and ">Did not arrive<" in page and ">Inbox, answered<" in page
    assert theirs.address not in page and "550 unknown" not in page


def test_w2_a_broken_one_says_why_it_is_out() -> None:
    workspace = make_workspace()
    sick, resting, left = (working(workspace) for _number in range(3))
    pool = pool_of(sick, resting, left)
    break_down(sick)
    Mailbox.objects.filter(pk=resting.pk).update(resting_until=timezone.now() + timedelta(hours=1))
    PoolMember.objects.filter(pool=pool, mailbox=left).update(active=False)
    sends = make_mailbox(workspace=workspace, wants_imap=False)
    member_of(pool, sends)
    page = text(customer(workspace).get("/warm-up/"))
    assert "Out of the pool now: Reconnect required (Wrong password or login)." in page
    assert "Out of the pool now: it rests at its provider&#x27;s sending limit" in page and ">Waits<" in page
    assert "Taken out of the pool." in page and ">Left<" in page and "It is set up to send only" in page


def test_the_empty_page_says_what_is_missing() -> None:
    workspace = make_workspace()
    client = customer(workspace)
    assert "There is no pool yet" in text(client.get("/warm-up/"))
    pool_of()
    assert "connect one" in text(client.get("/warm-up/"))
    working(workspace)
    assert "Add the first one below" in text(client.get("/warm-up/"))


def test_the_page_costs_the_same_for_ten_and_sixty_members() -> None:
    costs = []
    for count in (10, 60):
        workspace = make_workspace()
        mailboxes = [working(workspace) for _number in range(count)]
        pool = pool_of(*mailboxes)
        members = list(pool.members.order_by("pk"))
        for number, member in enumerate(members):
            exchanged(member, members[number - 1])
        break_down(mailboxes[0])
        costs.append(cost(customer(workspace), "/warm-up/"))
    assert costs[0] == costs[1] <= 15


def test_w1_a_mailbox_joins_leaves_and_joins_again_with_its_level_kept() -> None:
    mailbox = working()
    pool = pool_of(name="Everybody")
    client = customer(mailbox.workspace)
    data = {"mailbox": mailbox.pk, "pool": pool.pk}
    for _press in range(2):
        page = text(client.post("/warm-up/join/", data, follow=True))
    assert "is in “Everybody” now" in page and ">Exchanges mail<" in page
    member = PoolMember.objects.get()
    PoolMember.objects.update(days_sent=9)
    for _press in range(2):
        page = text(client.post(f"/warm-up/{member.pk}/leave/", follow=True))
    assert "is out of “Everybody”" in page and ">Left<" in page
    client.post("/warm-up/join/", data)
    member.refresh_from_db()
    assert member.active and member.days_sent == 9
    actions = AuditEntry.objects.filter(action__startswith="warm-up").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["warm-up joined", "warm-up left", "warm-up joined"]


def test_w2_who_leaves_takes_back_what_waits_in_both_directions() -> None:
    mine, theirs = working(), working()
    here, there = pool_of(mine, theirs).members.order_by("pk")
    for sender, receiver in ((here, there), (there, here)):
        waiting = exchanged(sender, receiver, "", settled=False)
        OutMessage.objects.filter(pk=waiting.out_id).update(state="queued")
    exchanged(here, there)
    customer(mine.workspace).post(f"/warm-up/{here.pk}/leave/")
    assert sorted(OutMessage.objects.values_list("state", flat=True)) == ["cancelled", "cancelled", "sent"]


def test_w1_one_pool_at_a_time_and_only_what_sends_and_reads() -> None:
    workspace = make_workspace()
    mailbox, sends = working(workspace), make_mailbox(workspace=workspace, wants_imap=False)
    pool_of(mailbox, name="First")
    second = pool_of(name="Second")
    client = customer(workspace)
    for box, words in (
        (mailbox, "It warms up in “First” already"),
        (sends, "Only a mailbox that both sends and reads"),
    ):
        page = text(client.post("/warm-up/join/", {"mailbox": box.pk, "pool": second.pk}, follow=True))
        assert words in page
    assert not second.members.exists()


@pytest.mark.parametrize("who", ["member of another", "staff without the right"])
def test_s5_foreign_mailboxes_and_members_are_as_if_they_were_not_there(who: str) -> None:
    theirs, outside = working(), working()
    pool = pool_of(theirs)
    client = Client()
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    client = customer(make_workspace()) if who == "member of another" else client
    for mailbox_id, pool_id in ((outside.pk, pool.pk), (999_999, pool.pk), ("²", pool.pk)):
        assert client.post("/warm-up/join/", {"mailbox": mailbox_id, "pool": pool_id}).status_code == 404
    for member_id in (pool.members.get().pk, 999_999):
        assert client.post(f"/warm-up/{member_id}/leave/").status_code == 404
    assert pool.members.get().active
    assert Client().post("/warm-up/join/")["Location"].startswith("/sign-in/")


def test_s5_the_page_is_of_the_own_workspace_and_an_unknown_pool_is_none() -> None:
    theirs, mine = working(), working()
    pool_of(theirs)
    client = customer(mine.workspace)
    assert theirs.address not in text(client.get("/warm-up/"))
    assert client.post("/warm-up/join/", {"mailbox": mine.pk, "pool": 999_999}).status_code == 404


def test_looking_changes_nothing() -> None:
    mailbox = working()
    member = pool_of(mailbox).members.get()
    client = customer(mailbox.workspace)
    assert client.get(f"/warm-up/{member.pk}/leave/").status_code == 405
    assert client.get("/warm-up/join/").status_code == 405
    text(client.get("/warm-up/"))
    assert PoolMember.objects.get().active and not AuditEntry.objects.filter(action__startswith="warm-up").exists()


def test_a5_staff_with_the_right_may_act_and_come_back_to_the_mailbox() -> None:
    member = pool_of(working()).members.get()
    user = User.objects.create_user("stan", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=["reconnect_mailbox", "change_poolmember"]))
    client = Client()
    client.force_login(user)
    assert client.post(f"/warm-up/{member.pk}/leave/")["Location"] == f"/mailboxes/{member.mailbox_id}/"
    assert not PoolMember.objects.get().active
