"""A workspace sees nothing of another: every page and action is tried with a foreign id (SPEC S5, U1)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import URLPattern, reverse

from mailboxes.models import AskedCheck, AuditEntry, Invitation, Mailbox, Trial
from mailboxes.pages.urls import urlpatterns
from mailboxes.reconnect.credentials import Password
from mailboxes.reconnect.trials import Wish, begin
from tests.make import START, make_mailbox, make_member, make_workspace, register, secret

pytestmark = pytest.mark.django_db
BY_MAILBOX = [
    "mailbox",
    "mailbox-live",
    "mailbox-check",
    "mailbox-confirm",
    "mailbox-confirm-again",
    "mailbox-remove",
    "credentials",
]
BY_MESSAGE = ["inbox-message", "inbox-reply"]  # tried in test_inbox_pages.py
BY_TRIAL = ["trial", "trial-progress", "trial-keep", "trial-discard"]
FOR_ALL = {
    "sign-in", "sign-out", "recover", "recover-sent", "password_reset_confirm", "invitation", "administrator",
    "help", "help-prepare", "help-pop-ups", "help-provider", "help-cause", "consent-complete",
}  # fmt: skip


def names() -> set[str]:
    return {str(pattern.name) for pattern in urlpatterns if isinstance(pattern, URLPattern)}


def address(name: str) -> str:
    values: dict[str, Any] = {"pk": 1, "provider": "google", "token": "x", "category": "timeout", "uidb64": "x"}
    pattern = next(one for one in urlpatterns if one.name == name)
    wanted = pattern.pattern.converters if hasattr(pattern.pattern, "converters") else {}
    return reverse(name, kwargs={key: values[key] for key in wanted})


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def theirs(db: None) -> tuple[Mailbox, Trial]:
    """Another workspace's mailbox, and a test of it."""
    mailbox = make_mailbox()
    wish = Wish(mailbox.workspace, mailbox.address, {"wants_smtp": True, "smtp_host": "a.test"}, Password(secret()))
    return mailbox, begin(wish, acting_user=make_member(mailbox.workspace), now=START)


@pytest.mark.parametrize("name", sorted(names() - FOR_ALL))
def test_nobody_comes_in_without_signing_in(name: str) -> None:
    for response in (Client().get(address(name)), Client().post(address(name))):
        assert response.status_code == 302 and response["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", BY_MAILBOX + BY_TRIAL)
@pytest.mark.parametrize("who", ["member of another", "staff without the right", "member of none"])
def test_s5_a_foreign_id_is_as_if_it_were_not_there(
    theirs: tuple[Mailbox, Trial], name: str, method: str, who: str
) -> None:
    mailbox, trial = theirs
    user = make_member(make_workspace())
    if who != "member of another":
        user.memberships.all().delete()
        User.objects.filter(pk=user.pk).update(is_staff=who.startswith("staff"))
    entries = AuditEntry.objects.count()
    client = signed_in(User.objects.get(pk=user.pk))
    pk = mailbox.pk if name in BY_MAILBOX else trial.pk
    foreign = getattr(client, method)(reverse(name, args=[pk])).status_code
    missing = getattr(client, method)(reverse(name, args=[999_999])).status_code
    assert foreign == missing and foreign in (404, 405)
    assert AuditEntry.objects.count() == entries and not AskedCheck.objects.exists()
    assert Mailbox.objects.get(pk=mailbox.pk).removed_at is None


def test_every_page_with_an_id_is_tried_above() -> None:
    with_id = {str(one.name) for one in urlpatterns if "pk" in str(one.pattern)}
    assert with_id == {*BY_MAILBOX, *BY_MESSAGE, *BY_TRIAL, "invitation-withdraw", "member-role", "member-remove"}


@pytest.mark.parametrize("values", [{"mailbox": "theirs"}, {"workspace": "theirs", "address": "x@example.test"}])
def test_s5_a_consent_for_a_foreign_mailbox_or_workspace_is_not_begun(
    theirs: tuple[Mailbox, Trial], values: dict[str, Any], sandbox: Any
) -> None:
    register(sandbox, "google")
    mailbox, _ = theirs
    ids = {"mailbox": mailbox.pk, "workspace": mailbox.workspace_id}
    data = {key: ids[key] if value == "theirs" else value for key, value in values.items()}
    client = signed_in(make_member(make_workspace()))
    assert client.post("/oauth/google/start/", data).status_code == 404
    assert "postmend_consent_google" not in client.session


def test_s5_connecting_into_a_foreign_workspace_is_refused(theirs: tuple[Mailbox, Trial]) -> None:
    mailbox, _ = theirs
    client = signed_in(make_member(make_workspace()))
    data: dict[str, Any] = {"workspace": mailbox.workspace_id, "address": "x@y.test"}
    for method in (client.get, client.post):
        assert method("/connect/", data).status_code == 404


def test_s5_the_list_and_its_numbers_are_of_the_own_workspace(theirs: tuple[Mailbox, Trial]) -> None:
    mailbox, _ = theirs
    mine = make_mailbox()
    text = signed_in(make_member(mine.workspace)).get("/mailboxes/").content.decode()
    assert mine.address in text and mailbox.address not in text
    other = signed_in(make_member(make_workspace())).get(f"/mailboxes/?workspace={mailbox.workspace_id}")
    assert mailbox.address not in other.content.decode()


def test_s5_an_invitation_is_withdrawn_by_its_own_workspaces_owner_alone() -> None:
    mine, theirs = make_workspace(), make_workspace()
    invitation = Invitation.objects.create(workspace=theirs, email="a@b.test", token_hash="x", expires_at=START)
    url = reverse("invitation-withdraw", args=[invitation.pk])
    assert signed_in(make_member(mine, "owner")).post(url).status_code == 404
    assert signed_in(make_member(theirs)).post(url).status_code == 404
    assert signed_in(make_member(theirs, "owner")).post(url).status_code == 302


def test_a5_staff_with_the_right_may_act_and_it_is_said(theirs: tuple[Mailbox, Trial]) -> None:
    mailbox, _ = theirs
    user = User.objects.create_user("stan", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="reconnect_mailbox"))
    client = signed_in(user)
    text = client.get(reverse("credentials", args=[mailbox.pk])).content.decode()
    assert "You act as staff for" in text and mailbox.workspace.name in text
    assert client.get(reverse("mailbox-remove", args=[mailbox.pk])).status_code == 403
