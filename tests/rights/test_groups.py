"""The groups of staff (SPEC A7)."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from os import environ
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client

from demo.seed import LEAD, USER, make_staff
from mailboxes.groups import add_groups
from mailboxes.rights import GROUPS
from tests.make import make_mailbox, make_member, make_workspace

pytestmark = pytest.mark.django_db
OURS = {"mailboxes", "campaigns", "warmup"}
QUERY = """
    SELECT g.name, c.app_label || '.' || p.codename FROM auth_group g
    JOIN auth_group_permissions gp ON gp.group_id = g.id JOIN auth_permission p ON p.id = gp.permission_id
    JOIN django_content_type c ON c.id = p.content_type_id
"""


@pytest.fixture
def groups() -> None:
    """As the migrations leave them: tests that empty the tables take them away."""
    add_groups(apps, connection.alias)


def held(name: str) -> set[str]:
    found = Group.objects.get(name=name).permissions.select_related("content_type")
    return {f"{one.content_type.app_label}.{one.codename}" for one in found}


def migrate(folder: Path) -> set[tuple[str, str]]:
    """Migrate the database in the folder; who holds what then."""
    database = folder / "fresh.sqlite3"
    more = {"DATABASE_URL": f"sqlite:///{database}", "POSTMEND_DATA_DIR": str(folder)}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=settings.BASE_DIR, env={**environ, **more}, check=True)
    with sqlite3.connect(database) as opened:
        return set(opened.execute(QUERY))


def test_a7_migrate_makes_the_groups_of_the_table_in_a_fresh_database(tmp_path: Path) -> None:
    wanted = {(group, name) for group, names in GROUPS.items() for name in names}
    assert migrate(tmp_path) == wanted
    assert migrate(tmp_path) == wanted


def test_a7_what_an_operator_gave_a_group_stays(groups: None) -> None:
    own = Permission.objects.get(codename="view_user")
    Group.objects.get(name="Support").permissions.add(own)
    add_groups(apps, connection.alias)
    assert held("Support") == GROUPS["Support"] | {"auth.view_user"}


def test_a7_a_database_without_permissions_gets_them_first(groups: None) -> None:
    Group.objects.all().delete()
    Permission.objects.all().delete()
    add_groups(apps, connection.alias)
    assert held("Support lead") == GROUPS["Support lead"]


def test_a7_a_lead_may_all_that_support_may() -> None:
    assert GROUPS["Support"] < GROUPS["Support lead"]


def test_a7_no_group_can_make_users_rights_or_sign_in_providers() -> None:
    every = frozenset().union(*GROUPS.values())
    assert {name.partition(".")[0] for name in every} <= OURS
    assert not {name for name in every if "oauthclient" in name or "codedevice" in name or "credential" in name}


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_a7_no_group_reads_a_secret(groups: None, name: str) -> None:
    """`NoSecretInPages` refuses any answer with the mailbox's password in it."""
    mailbox = make_mailbox()
    user = User.objects.create_user("stan", is_staff=True)
    user.groups.add(Group.objects.get(name=name))
    client = Client()
    client.force_login(user)
    for page in (f"/admin/mailboxes/mailbox/{mailbox.pk}/change/", f"/mailboxes/{mailbox.pk}/credentials/"):
        assert client.get(page).status_code == 200
    assert client.get("/admin/mailboxes/oauthclient/").status_code == 403


def test_a7_support_sees_the_members_of_a_workspace_without_links_to_users(groups: None) -> None:
    member = make_member(make_workspace())
    user = User.objects.create_user("stan", is_staff=True)
    user.groups.add(Group.objects.get(name="Support"))
    client = Client()
    client.force_login(user)
    page = client.get(f"/admin/mailboxes/workspace/{member.memberships.get().workspace_id}/change/").content.decode()
    assert member.username in page and "/admin/auth/user/" not in page


def test_a7_the_demos_staff_are_in_the_groups_and_no_superusers(groups: None) -> None:
    User.objects.create_superuser(USER)  # of a demo before
    assert set(make_staff()) == {USER, LEAD}
    found = {user.username: user for user in User.objects.filter(is_staff=True, is_superuser=False)}
    assert {name: [str(group) for group in user.groups.all()] for name, user in found.items()} == {
        USER: ["Support"],
        LEAD: ["Support lead"],
    }
