"""Staff have on the customers' pages the rights that they have in the admin, no others (SPEC S8)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from campaigns.models import Campaign
from mailboxes.models import AskedCheck, Mailbox
from mailboxes.rights import OWNERS_ONLY, STAFF, STAFF_ONLY, Deed, may
from tests.make import make_mailbox, make_member, register
from warmup.models import Pool, PoolMember

pytestmark = pytest.mark.django_db
# What is sent: its kind of object and its path, by the deed that it is.
WAYS: list[tuple[Deed, str, str]] = [
    (Deed.CHECK_MAILBOX, "post", "/mailboxes/{mailbox}/check/"),
    (Deed.REMOVE_MAILBOX, "get", "/mailboxes/{mailbox}/remove/"),
    (Deed.REMOVE_MAILBOX, "post", "/mailboxes/{mailbox}/remove/"),
    (Deed.SEE_CAMPAIGN, "get", "/campaigns/{campaign}/"),
    (Deed.WRITE_CAMPAIGN, "get", "/campaigns/{campaign}/edit/"),
    (Deed.WRITE_CAMPAIGN, "post", "/campaigns/{campaign}/edit/"),
    (Deed.WRITE_CAMPAIGN, "post", "/campaigns/{campaign}/start/"),
    (Deed.WRITE_CAMPAIGN, "post", "/campaigns/{campaign}/pause/"),
    (Deed.IMPORT_LEADS, "get", "/campaigns/{campaign}/leads/"),
    (Deed.IMPORT_LEADS, "post", "/campaigns/{campaign}/leads/"),
    (Deed.LEAVE_POOL, "post", "/warm-up/{member}/leave/"),
    (Deed.CONNECT_MAILBOX, "get", "/connect/?workspace={workspace}&address=new@gmail.com"),
    (Deed.JOIN_POOL, "post", "/warm-up/join/"),
]


@pytest.fixture
def ids() -> dict[str, int]:
    """A customer's mailbox, its place in a pool, and a running campaign."""
    mailbox = make_mailbox()
    campaign = Campaign.objects.create(workspace=mailbox.workspace, name="Autumn", state="running")
    member = PoolMember.objects.create(pool=Pool.objects.create(name="Ours"), mailbox=mailbox)
    found = {"mailbox": mailbox.pk, "campaign": campaign.pk, "member": member.pk, "pool": member.pool_id}
    return found | {"workspace": mailbox.workspace_id}


def send(client: Client, method: str, path: str, ids: dict[str, int]) -> int:
    """The status of the answer; a form that names a mailbox and a pool names these."""
    data = {name: ids[name] for name in ("mailbox", "pool")} if method == "post" else {}
    return int(getattr(client, method)(path.format(**ids), data).status_code)


def staff_with(*permissions: str) -> Client:
    user = User.objects.create_user("stan", is_staff=True)
    names = [name.partition(".")[2] for name in permissions]
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(("deed", "method", "path"), WAYS)
def test_sec4_the_right_to_reconnect_is_no_other_right(ids: dict[str, int], deed: Deed, method: str, path: str) -> None:
    client = staff_with("mailboxes.reconnect_mailbox")
    assert send(client, method, path, ids) in (403, 404)
    assert Mailbox.objects.get().removed_at is None and not AskedCheck.objects.exists()
    assert Campaign.objects.get().state == "running" and PoolMember.objects.get().active


@pytest.mark.parametrize(("deed", "method", "path"), WAYS)
def test_sec4_the_right_of_the_table_opens_the_page(ids: dict[str, int], deed: Deed, method: str, path: str) -> None:
    assert send(staff_with(STAFF[deed]), method, path, ids) in (200, 302)


@pytest.mark.parametrize(("deed", "method", "path"), WAYS)
def test_sec4_a_permission_without_staff_status_is_no_right(
    ids: dict[str, int], deed: Deed, method: str, path: str
) -> None:
    client = staff_with(*STAFF.values())
    User.objects.update(is_staff=False)
    assert send(client, method, path, ids) == 404


@pytest.mark.parametrize(("deed", "method", "path"), WAYS)
def test_sec4_a_member_may_as_before(ids: dict[str, int], deed: Deed, method: str, path: str) -> None:
    client = Client()
    client.force_login(make_member(Mailbox.objects.get().workspace))
    assert send(client, method, path, ids) in (200, 302)


def test_sec4_the_table() -> None:
    everything, nothing = (lambda _name: True), (lambda _name: False)
    assert {deed for deed in Deed if may(deed, role=None, has_permission=nothing)} == set()
    assert {deed for deed in Deed if may(deed, role=None, has_permission=everything)} == set(STAFF)
    assert {deed for deed in Deed if not may(deed, role="owner", has_permission=nothing)} == STAFF_ONLY
    assert {deed for deed in Deed if not may(deed, role="member", has_permission=nothing)} == STAFF_ONLY | OWNERS_ONLY


# ---- no button leads to a refusal


@pytest.mark.parametrize(
    ("permissions", "path", "shown", "hidden"),
    [
        (["mailboxes.reconnect_mailbox"], "/mailboxes/{mailbox}/", ["credentials/"], ["/check/", "/remove/"]),
        (
            ["mailboxes.reconnect_mailbox", "mailboxes.check_mailbox", "mailboxes.remove_mailbox"],
            "/mailboxes/{mailbox}/",
            ["/check/", "/remove/"],
            [],
        ),
        (["campaigns.view_campaign"], "/campaigns/{campaign}/", [], ["/pause/", "/edit/", "/leads/", "/mailboxes/"]),
        (["campaigns.view_campaign", "campaigns.change_campaign"], "/campaigns/{campaign}/", ["/pause/"], ["/leads/"]),
    ],
)
def test_sec4_staff_see_no_button_whose_answer_is_a_refusal(
    ids: dict[str, int], permissions: list[str], path: str, shown: list[str], hidden: list[str]
) -> None:
    Campaign.objects.get().mailboxes.add(Mailbox.objects.get())
    page = staff_with(*permissions).get(path.format(**ids)).content.decode()
    assert [part for part in shown if part not in page] == [] == [part for part in hidden if part in page]
    assert "You act as staff for" in page


# ---- a new mailbox is more than a reconnected one


@pytest.mark.parametrize("permission", ["mailboxes.reconnect_mailbox", "mailboxes.add_mailbox"])
def test_sec4_the_sign_in_at_the_provider_asks_for_the_right_that_fits(
    ids: dict[str, int], permission: str, sandbox: Any
) -> None:
    register(sandbox, "google")
    client, known = staff_with(permission), Mailbox.objects.get().address
    by_address = {
        one: client.post("/oauth/google/start/", {"workspace": ids["workspace"], "address": one}).status_code
        for one in (known, "new@gmail.com")
    }
    may_connect = permission == "mailboxes.add_mailbox"
    assert by_address == {known: 404 if may_connect else 302, "new@gmail.com": 302 if may_connect else 404}
