"""Owners see, change and remove members; an invitation is for one address and ends with its inviter's right (SEC-8)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from mailboxes import members
from mailboxes.account_mail import invite as invite_by_mail
from mailboxes.models import AuditEntry, Membership, Workspace
from mailboxes.tasks import send_account_mail
from tests.make import make_member, make_workspace

pytestmark = pytest.mark.django_db
GUEST = "guest@elsewhere.test"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def place(user: User) -> Membership:
    return Membership.objects.get(user=user)


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def owner(workspace: Workspace) -> User:
    return make_member(workspace, "owner")


@pytest.fixture
def other(workspace: Workspace) -> User:
    """A second owner."""
    return make_member(workspace, "owner")


@pytest.fixture
def member(workspace: Workspace) -> User:
    return make_member(workspace)


def invited(workspace: Workspace, by: User, email: str = GUEST) -> str:
    """The address of an invitation's page."""
    _, token = members.invite(workspace, email, role="owner", acting_user=by, now=timezone.now())
    return f"/invitation/{token}/"


def page(client: Client, url: str = "/members/") -> str:
    return str(client.get(url).content.decode())


# ---- the page


def test_sec8_an_owner_has_a_button_for_each_member(owner: User, member: User) -> None:
    text = page(signed_in(owner))
    assert f"/members/{place(member).pk}/role/" in text and f"/members/{place(member).pk}/remove/" in text


def test_sec8_a_member_sees_the_members_and_no_buttons(owner: User, member: User) -> None:
    text = page(signed_in(member))
    assert owner.username in text and "/role/" not in text and "/remove/" not in text


def test_sec8_a_removed_member_sees_nothing_of_the_workspace_any_more(owner: User, member: User) -> None:
    theirs = signed_in(member)
    url = f"/members/{place(member).pk}/remove/"
    assert "Remove" in page(signed_in(owner), url) and theirs.get("/mailboxes/").status_code == 200, "a question first"
    assert signed_in(owner).post(url)["Location"] == "/members/"
    assert theirs.get("/mailboxes/").status_code == 404


@pytest.mark.parametrize(("role", "words"), [("owner", "is now an owner"), ("member", "is now a member")])
def test_sec8_an_owner_changes_a_role(owner: User, other: User, member: User, role: str, words: str) -> None:
    whose = member if role == "owner" else other
    answer = signed_in(owner).post(f"/members/{place(whose).pk}/role/", {"role": role}, follow=True)
    assert words in answer.content.decode() and place(whose).role == role


@pytest.mark.parametrize("path", ["role", "remove"])
@pytest.mark.parametrize("who", ["a member", "the owner of another workspace"])
def test_sec8_nobody_else_changes_members(owner: User, member: User, path: str, who: str) -> None:
    user = member if who == "a member" else make_member(make_workspace(), "owner")
    assert signed_in(user).post(f"/members/{place(owner).pk}/{path}/", {"role": "member"}).status_code == 404
    assert place(owner).role == "owner"


def test_sec8_both_deeds_are_in_the_audit_log(owner: User, member: User, workspace: Workspace) -> None:
    client = signed_in(owner)
    client.post(f"/members/{place(member).pk}/role/", {"role": "owner"})
    client.post(f"/members/{place(member).pk}/remove/")
    rows = AuditEntry.objects.order_by("id").values_list("actor_name", "action", "target", "detail")
    assert list(rows) == [
        (owner.username, "role changed", member.username, f"{workspace}: member → owner"),
        (owner.username, "member removed", member.username, f"{workspace}: owner"),
    ]


# ---- the last owner


@pytest.mark.parametrize(("path", "values"), [("remove", {}), ("role", {"role": "member"})])
@pytest.mark.parametrize("sleeps", [False, True])
def test_sec8_the_last_owner_stays(
    owner: User, workspace: Workspace, path: str, values: dict[str, str], sleeps: bool
) -> None:
    if sleeps:  # an owner who cannot sign in is none
        User.objects.filter(pk=make_member(workspace, "owner").pk).update(is_active=False)
    answer = signed_in(owner).post(f"/members/{place(owner).pk}/{path}/", values, follow=True)
    assert "A workspace needs an owner" in answer.content.decode() and place(owner).role == "owner"


def test_sec8_an_owner_beside_another_leaves(owner: User, other: User) -> None:
    assert signed_in(owner).post(f"/members/{place(owner).pk}/remove/")["Location"] == "/"
    assert not Membership.objects.filter(user=owner).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("deed", ["remove", "demote"])
def test_sec8_two_owners_who_remove_each_other_at_once_leave_one(deed: str) -> None:
    for _ in range(5):
        workspace = make_workspace()
        pair = [make_member(workspace, "owner") for _ in range(2)]
        places, start = [place(user) for user in pair], Barrier(2)

        def act(number: int, pair: Any = pair, places: Any = places, start: Barrier = start) -> bool:
            start.wait()
            try:
                if deed == "remove":
                    members.remove(places[1 - number], acting_user=pair[number], now=timezone.now())
                else:
                    members.change_role(places[1 - number], "member", acting_user=pair[number], now=timezone.now())
            except members.Refused:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(act, range(2))) == [False, True]
        assert Membership.objects.filter(workspace=workspace, role="owner").count() == 1


# ---- invitations


@pytest.mark.parametrize("end", ["removed", "made a member", "deactivated", "deleted"])
def test_sec8_an_invitation_ends_with_its_inviters_right(
    workspace: Workspace, owner: User, other: User, end: str
) -> None:
    url = invited(workspace, owner)
    if end == "removed":
        members.remove(place(owner), acting_user=other, now=timezone.now())
    elif end == "made a member":
        members.change_role(place(owner), "member", acting_user=other, now=timezone.now())
    elif end == "deactivated":
        User.objects.filter(pk=owner.pk).update(is_active=False)
    else:
        owner.delete()
    assert Client().get(url).status_code == 404
    assert Client().post(url, {"password": "long-enough-for-a-guest"}).status_code == 404
    assert not User.objects.filter(username=GUEST).exists()


def test_sec8_it_stays_ended_when_the_inviter_is_an_owner_again(workspace: Workspace, owner: User, other: User) -> None:
    url = invited(workspace, owner)
    for role in ("member", "owner"):
        members.change_role(place(owner), role, acting_user=other, now=timezone.now())
    assert Client().get(url).status_code == 404


def test_sec8_an_ended_invitation_is_not_mailed(
    workspace: Workspace, owner: User, other: User, mailoutbox: Any
) -> None:
    invite_by_mail(workspace, GUEST, role="member", acting_user=owner, now=timezone.now())
    members.remove(place(owner), acting_user=other, now=timezone.now())
    send_account_mail()
    assert mailoutbox == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_sec8_whoever_is_signed_in_with_another_address_is_told(workspace: Workspace, owner: User, method: str) -> None:
    stranger = make_member(make_workspace())
    answer = getattr(signed_in(stranger), method)(invited(workspace, owner))
    text = answer.content.decode()
    assert answer.status_code == 403 and GUEST in text and stranger.username in text
    assert not Membership.objects.filter(workspace=workspace, user=stranger).exists()


def test_sec8_the_invited_address_joins_in_whatever_letters(workspace: Workspace, owner: User) -> None:
    guest = make_member(make_workspace())
    url = invited(workspace, owner, guest.username.upper())
    assert signed_in(guest).post(url)["Location"] == "/mailboxes/"
    assert Membership.objects.get(workspace=workspace, user=guest).role == "owner"


def test_sec8_an_address_that_staff_wrote_down_is_the_persons_too(workspace: Workspace, owner: User) -> None:
    guest = User.objects.create_user("gustav", GUEST)
    url = invited(workspace, owner)
    assert "has an account here" in page(Client(), url)
    assert signed_in(guest).post(url).status_code == 302 and Membership.objects.filter(user=guest).exists()


def test_sec8_an_invitation_taken_twice_at_once_is_over_for_the_second(workspace: Workspace, owner: User) -> None:
    url, guest = invited(workspace, owner), User.objects.create_user(GUEST)
    found = members.open_invitation(url.split("/")[2], timezone.now())
    assert found is not None and members.accept(found, guest, now=timezone.now()) is not None
    assert members.accept(found, guest, now=timezone.now()) is None
