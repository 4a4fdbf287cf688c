"""Every deed of a person leaves an audit row, and the row outlives the person (SPEC S9, SEC-14)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from mailboxes.models import AuditEntry, CodeDevice, Membership, StaffAlarm, Workspace
from mailboxes.models.history import OnlyAdded
from tests.make import make_mailbox, make_member, make_workspace

pytestmark = pytest.mark.django_db
PASSWORD = "long-enough-for-anybody"


def row(action: str) -> tuple[str, str, str]:
    """Who did it, to what, and how, of the one row of this deed."""
    found = AuditEntry.objects.get(action=action)
    return found.actor_name, found.target, found.detail


def user_values(user: User, **values: Any) -> dict[str, Any]:
    """The change form of a user, filled in as the page has it."""
    known: dict[str, Any] = {"username": user.username, "email": user.email or "stan@postmend.test"}
    known |= {name: "on" for name in ("is_active", "is_staff", "is_superuser") if getattr(user, name)}
    known |= {"groups": [one.pk for one in user.groups.all()]}
    known |= {"user_permissions": [one.pk for one in user.user_permissions.all()]}
    known |= {"date_joined_0": "2026-11-20", "date_joined_1": "12:00:00"}
    return {name: value for name, value in (known | values).items() if value is not None}


def staff_with(*permissions: str) -> tuple[User, Client]:
    user = User.objects.create_user("stan", "stan@postmend.test", PASSWORD, is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


def change(client: Client, user: User, **values: Any) -> Any:
    return client.post(f"/admin/auth/user/{user.pk}/change/", user_values(user, **values))


# ---- users and groups


def test_sec14_a_new_user_is_a_row(support_client: Client) -> None:
    values = {"username": "new@customer.test", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert support_client.post("/admin/auth/user/add/", values).status_code == 302
    assert row("user added")[:2] == ("sue", "new@customer.test")


def test_sec14_a_changed_user_is_a_row_with_what_changed(support_client: Client) -> None:
    user, group = User.objects.create_user("anna", "anna@a.test"), Group.objects.create(name="Night shift")
    assert change(support_client, user, email="anna@b.test", is_staff="on", groups=[group.pk]).status_code == 302
    by, target, detail = row("user changed")
    assert (by, target) == ("sue", "anna")
    assert {"email: anna@a.test → anna@b.test", "is_staff: no → yes", "groups: +Night shift"} <= set(detail.split("; "))


def test_sec14_a_password_set_by_staff_is_a_row_without_the_password(support_client: Client) -> None:
    user = User.objects.create_user("anna", "anna@a.test")
    values = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert support_client.post(f"/admin/auth/user/{user.pk}/password/", values).status_code == 302
    by, target, detail = row("user changed")
    assert (by, target) == ("sue", "anna") and "password" in detail and PASSWORD not in detail


def test_sec14_a_deleted_user_is_a_row_and_keeps_the_name_of_the_own_ones(support_client: Client) -> None:
    user = User.objects.create_user("anna")
    AuditEntry.objects.create(actor=user, action="check asked")
    assert support_client.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"}).status_code == 302
    assert row("user removed")[:2] == ("sue", "anna")
    assert row("check asked")[0] == "anna"


def test_sec14_users_deleted_from_the_list_are_rows(support_client: Client) -> None:
    ids = [User.objects.create_user(name).pk for name in ("anna", "ben")]
    values = {"action": "delete_selected", "_selected_action": ids, "post": "yes"}
    support_client.post("/admin/auth/user/", values)
    assert set(AuditEntry.objects.filter(action="user removed").values_list("target", flat=True)) == {"anna", "ben"}


def test_sec14_a_group_is_a_row(support_client: Client) -> None:
    wanted = Permission.objects.get(codename="check_mailbox")
    assert (
        support_client.post("/admin/auth/group/add/", {"name": "Night", "permissions": [wanted.pk]}).status_code == 302
    )
    by, target, detail = row("group added")
    assert (by, target) == ("sue", "Night") and "check mailboxes" in detail


def test_sec14_a_second_factor_taken_away_is_a_row(support_client: Client) -> None:
    device = CodeDevice.objects.create(user=User.objects.create_user("anna"), name="App", key=CodeDevice.new_key())
    assert support_client.post(f"/admin/mailboxes/codedevice/{device.pk}/delete/", {"post": "yes"}).status_code == 302
    assert row("second factor removed")[:2] == ("sue", "App (anna)")


def test_sec14_an_oauth_client_taken_away_is_a_row(support_client: Client) -> None:
    values = {"name": "google", "client_id": "an-id", "new_secret": "not-a-real-one"}
    assert support_client.post("/admin/mailboxes/oauthclient/add/", values).status_code == 302
    by, target, detail = row("OAuth client added")
    assert (by, target) == ("sue", "google") and "client_id" in detail and "not-a-real-one" not in detail


def test_sec14_a_closed_alarm_is_a_row(support_client: Client) -> None:
    alarm = StaffAlarm.objects.create(kind="no_worker", key="one", text="x")
    support_client.post("/admin/mailboxes/staffalarm/", {"action": "close", "_selected_action": [alarm.pk]})
    assert row("alarm closed")[:2] == ("sue", "no_worker: one")


# ---- sign-ins and passwords


@pytest.mark.parametrize("door", ["/sign-in/", "/admin/login/"])
def test_sec14_a_sign_in_is_a_row(support: User, door: str) -> None:
    Client().post(door, {"username": "sue", "password": "sue-signs-in-here"})
    assert row("signed in") == ("sue", "sue", "from 127.0.0.1")


@pytest.mark.parametrize("door", ["/sign-in/", "/admin/login/"])
def test_sec14_a_wrong_password_is_a_row_of_nobody(support: User, door: str) -> None:
    Client().post(door, {"username": "sue", "password": "wrong"})
    assert row("sign-in failed") == ("", "sue", "from 127.0.0.1")


def test_sec14_an_unknown_name_is_kept_nowhere(support: User) -> None:
    Client().post("/sign-in/", {"username": "sue-signs-in-here", "password": "sue"})
    assert not AuditEntry.objects.exists()


def test_sec14_tries_above_the_limit_leave_no_rows(support: User) -> None:
    for _ in range(20):
        Client().post("/sign-in/", {"username": "sue", "password": "wrong"})
    assert AuditEntry.objects.filter(action="sign-in failed").count() == 8


def test_sec14_a_customer_at_the_admins_door_has_not_signed_in() -> None:
    member = make_member(make_workspace())
    Client().post("/admin/login/", {"username": member.username, "password": "signs-in-with-this"})
    assert row("sign-in refused")[:2] == ("", member.username)


def test_sec14_a_password_set_by_the_mailed_link_is_a_row() -> None:
    member, client = make_member(make_workspace()), Client()
    key = urlsafe_base64_encode(force_bytes(member.pk))
    page = client.get(f"/recover/{key}/{default_token_generator.make_token(member)}/")["Location"]
    assert client.post(page, {"new_password1": PASSWORD, "new_password2": PASSWORD}).status_code == 302
    assert row("password set by link")[0] == member.username


def test_sec14_an_own_new_password_is_a_row(support_client: Client) -> None:
    values = {"old_password": "sue-signs-in-here", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert support_client.post("/admin/password_change/", values | {"old_password": "wrong"}).status_code == 200
    assert not AuditEntry.objects.exists()
    assert support_client.post("/admin/password_change/", values).status_code == 302
    assert row("password changed")[0] == "sue"


def test_sec14_a_wrong_second_factor_is_a_row_where_it_was_looked_at(support_client: Client, support: User) -> None:
    CodeDevice.objects.create(user=support, name="App", key=CodeDevice.new_key())
    for _ in range(3):  # the second and third come too soon
        support_client.post("/second-factor/", {"code": "000000"})
    assert row("second factor failed")[0] == "sue"


# ---- members


def places(workspace: Workspace, *rows: dict[str, Any]) -> dict[str, Any]:
    """The workspace's form with its members."""
    values: dict[str, Any] = {"name": workspace.name, "memberships-TOTAL_FORMS": len(rows)}
    values["memberships-INITIAL_FORMS"] = sum("id" in one for one in rows)
    for number, one in enumerate(rows):
        values |= {f"memberships-{number}-{name}": value for name, value in one.items()}
    return values


def test_sec14_members_added_changed_and_removed_by_staff_are_rows(support_client: Client) -> None:
    workspace, new = make_workspace(), User.objects.create_user("new@a.test")
    one, two = make_member(workspace, "owner"), make_member(workspace)
    ids = {user.pk: Membership.objects.get(user=user).pk for user in (one, two)}
    page = f"/admin/mailboxes/workspace/{workspace.pk}/change/"
    kept = {"id": ids[one.pk], "user": one.pk, "role": "member"}
    gone = {"id": ids[two.pk], "user": two.pk, "role": "member", "DELETE": "on"}
    values = places(workspace, kept, gone, {"user": new.pk, "role": "owner"})
    assert support_client.post(page, values).status_code == 302
    assert row("member added") == ("sue", "new@a.test", f"{workspace}: owner")
    assert row("role changed") == ("sue", one.username, f"{workspace}: owner → member")
    assert row("member removed") == ("sue", two.username, f"{workspace}: member")


@pytest.mark.parametrize("has_place", [True, False])
def test_sec14_staff_make_themselves_no_owner(has_place: bool) -> None:
    names = ("view_workspace", "change_workspace", "view_membership", "add_membership", "change_membership")
    stan, client = staff_with(*names, "view_user")
    workspace = make_workspace()
    own: dict[str, Any] = {"user": stan.pk, "role": "owner"}
    if has_place:
        own["id"] = Membership.objects.create(workspace=workspace, user=stan).pk
    answer = client.post(f"/admin/mailboxes/workspace/{workspace.pk}/change/", places(workspace, own))
    assert answer.status_code == 200 and "Nobody gives themselves a place" in answer.content.decode()
    assert not Membership.objects.filter(user=stan, role="owner").exists()


# ---- nobody rises by it


def test_sec14_whoever_changes_users_makes_nobody_a_superuser() -> None:
    stan, client = staff_with("view_user", "change_user")
    assert change(client, stan, is_superuser="on").status_code == 302
    assert not User.objects.filter(is_superuser=True).exists()


@pytest.mark.parametrize("page", ["change", "password", "delete"])
def test_sec14_whoever_changes_users_changes_no_superuser(support: User, page: str) -> None:
    _, client = staff_with("view_user", "change_user", "delete_user")
    before = User.objects.filter(pk=support.pk).values().get()
    values = user_values(support, email="stan@postmend.test", post="yes", password1=PASSWORD, password2=PASSWORD)
    assert client.post(f"/admin/auth/user/{support.pk}/{page}/", values).status_code == 403
    assert User.objects.filter(pk=support.pk).values().get() == before


@pytest.mark.parametrize("active", [True, False])
def test_sec14_nobody_takes_over_an_account_that_may_more(active: bool) -> None:
    _, client = staff_with("view_user", "change_user")
    other = User.objects.create_user("olga", "olga@postmend.test", is_staff=True, is_active=active)
    other.user_permissions.add(Permission.objects.get(codename="remove_mailbox"))
    assert change(client, other, email="stan@postmend.test").status_code == 403


def test_sec14_an_account_that_may_no_more_is_changed() -> None:
    _, client = staff_with("view_user", "change_user")
    other = make_member(make_workspace())
    assert change(client, other, email="new@customer.test").status_code == 302
    assert User.objects.get(pk=other.pk).email == "new@customer.test"


def test_sec14_permissions_that_one_lacks_are_not_given() -> None:
    stan, client = staff_with("view_user", "change_user")
    wanted = Permission.objects.get(codename="remove_mailbox")
    own = [one.pk for one in stan.user_permissions.all()]
    answer = change(client, stan, user_permissions=[*own, wanted.pk])
    assert answer.status_code == 200 and "only what you may do yourself" in answer.content.decode()
    assert not User.objects.get(pk=stan.pk).has_perm("mailboxes.remove_mailbox")


def test_sec14_groups_that_may_more_are_not_given() -> None:
    stan, client = staff_with("view_user", "change_user")
    strong, weak = Group.objects.create(name="Strong"), Group.objects.create(name="Weak")
    strong.permissions.add(Permission.objects.get(codename="remove_mailbox"))
    weak.permissions.add(Permission.objects.get(codename="view_user"))
    assert change(client, stan, groups=[strong.pk]).status_code == 200
    assert change(client, stan, groups=[weak.pk]).status_code == 302
    assert [one.name for one in stan.groups.all()] == ["Weak"]


def test_sec14_a_group_is_given_no_right_that_one_lacks() -> None:
    stan, client = staff_with("view_group", "change_group")
    group, wanted = Group.objects.create(name="Mine"), Permission.objects.get(codename="add_user")
    stan.groups.add(group)
    page = f"/admin/auth/group/{group.pk}/change/"
    assert client.post(page, {"name": "Mine", "permissions": [wanted.pk]}).status_code == 200
    assert not group.permissions.exists()


def test_sec14_a_superusers_second_factor_is_not_taken_away(support: User) -> None:
    _, client = staff_with("view_codedevice", "delete_codedevice")
    device = CodeDevice.objects.create(user=support, name="App", key=CodeDevice.new_key())
    assert client.post(f"/admin/mailboxes/codedevice/{device.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(
        "/admin/mailboxes/codedevice/", {"action": "delete_selected", "_selected_action": [device.pk], "post": "yes"}
    )
    assert CodeDevice.objects.filter(pk=device.pk).exists()


# ---- the log


def test_s9_the_names_of_users_and_mailboxes_are_kept() -> None:
    mailbox, user = make_mailbox(), User.objects.create_user("anna")
    AuditEntry.objects.all()  # the maker's rows stay beside
    AuditEntry.objects.bulk_create([AuditEntry(actor_id=user.pk, action="paused", mailbox_id=mailbox.pk)])
    user.delete()
    mailbox.workspace.delete()
    assert row("paused")[:2] == ("anna", mailbox.address)


def test_s9_rows_are_only_added() -> None:
    AuditEntry.objects.create(action="paused")
    with pytest.raises(OnlyAdded):
        AuditEntry.objects.filter(action="paused").update(action="resumed")
    with pytest.raises(OnlyAdded):
        AuditEntry.objects.all().delete()
    assert row("paused")


@pytest.mark.parametrize("page", ["add/", "{}/change/", "{}/delete/"])
def test_s9_no_superuser_writes_the_log(support_client: Client, page: str) -> None:
    entry = AuditEntry.objects.create(action="paused")
    page = f"/admin/mailboxes/auditentry/{page.format(entry.pk)}"
    assert support_client.post(page, {"action": "resumed", "post": "yes"}).status_code == 403
    assert row("paused")


@pytest.mark.parametrize("term", ["anna", "ANNA", "box@a.test", "pau"])
def test_s9_the_log_is_searched_by_who_what_and_deed(support_client: Client, term: str) -> None:
    AuditEntry.objects.create(action="paused", actor_name="anna", target="box@a.test")
    AuditEntry.objects.create(action="resumed", actor_name="ben", target="other@b.test")
    page = support_client.get("/admin/mailboxes/auditentry/", {"q": term}).content.decode()
    assert "box@a.test" in page and "other@b.test" not in page


@pytest.mark.parametrize(
    ("about", "action"), [("sign-ins", "signed in"), ("mail", "paused"), ("members", "role changed")]
)
def test_s9_the_log_is_filtered_by_what_it_is_about(support_client: Client, about: str, action: str) -> None:
    for one in ("signed in", "paused", "role changed"):
        AuditEntry.objects.create(action=one, target=f"of {one}")
    page = support_client.get("/admin/mailboxes/auditentry/", {"about": about}).content.decode()
    assert [one for one in ("signed in", "paused", "role changed") if f"of {one}" in page] == [action]


def test_s9_a_page_of_the_log_takes_the_same_queries_for_one_row_and_for_fifty(
    support_client: Client, django_assert_max_num_queries: Any
) -> None:
    mailbox, user = make_mailbox(), User.objects.create_user("anna")
    support_client.get("/admin/mailboxes/auditentry/")
    AuditEntry.objects.bulk_create([AuditEntry(actor=user, action="paused", mailbox=mailbox) for _ in range(60)])
    with django_assert_max_num_queries(12) as queries:
        support_client.get("/admin/mailboxes/auditentry/")
    counts = [one["sql"] for one in queries.captured_queries if "COUNT(" in one["sql"] and "auditentry" in one["sql"]]
    assert counts and all("LIMIT 10000" in sql for sql in counts)
