"""Signing in, throttling, recovery, invitations and the second factor of staff (SPEC U6, S6)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_otp.oath import totp

from mailboxes.members import invite
from mailboxes.models import AuditEntry, CodeDevice, Invitation, Membership
from mailboxes.pages.signing_in import BY_NAME_AND_NETWORK
from mailboxes.tasks import send_account_mail
from tests.make import make_mailbox, make_member, make_workspace

pytestmark = pytest.mark.django_db


def sign_in(name: str, password: str, client: Client | None = None, url: str = "/sign-in/", **more: str) -> Any:
    return (client or Client()).post(url, {"username": name, "password": password} | more)


def said(response: Any) -> str:
    """The page without what differs at each answer."""
    return re.sub(r'value="[^"]*"', "", response.content.decode())


def test_u6_a_member_signs_in_by_address_and_sees_the_own_list() -> None:
    member = make_member(make_mailbox().workspace)
    client = Client()
    assert sign_in(member.username.upper(), "signs-in-with-this", client)["Location"] == "/"
    assert client.get("/", follow=True).redirect_chain == [("/mailboxes/", 302)]


def test_s6_an_unknown_name_and_a_wrong_password_read_the_same() -> None:
    member = make_member(make_workspace())
    assert said(sign_in(member.username, "wrong")) == said(sign_in("nobody@customer.test", "wrong"))


@pytest.mark.parametrize("url", ["/sign-in/", "/admin/login/"])
def test_s6_after_eight_wrong_passwords_the_right_one_rests_too(url: str) -> None:
    user = User.objects.create_superuser("stella", password="the-right-one-of-stella")
    client = Client()
    for _ in range(BY_NAME_AND_NETWORK.most):
        assert sign_in(user.username, "wrong", client, url).status_code == 200
    last = sign_in(user.username, "wrong", client, url)
    assert last.status_code == 429 and "Try again in 8 minutes" in last.content.decode()
    assert sign_in(user.username, "the-right-one-of-stella", client, url).status_code == 429
    elsewhere = Client(REMOTE_ADDR="198.51.100.9")
    assert sign_in(user.username, "the-right-one-of-stella", elsewhere, url).status_code == 302


@pytest.mark.parametrize("bad", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "///evil"])
def test_s6_next_leads_nowhere_outside(bad: str) -> None:
    member = make_member(make_workspace())
    assert sign_in(member.username, "signs-in-with-this", next=bad)["Location"] == "/"
    assert sign_in(member.username, "signs-in-with-this", next="/members/")["Location"] == "/members/"


def test_u6_recovery_answers_alike_and_its_link_works_once(settings: Any) -> None:
    member = make_member(make_workspace())
    known = Client().post("/recover/", {"email": member.username}, follow=True)
    assert said(known) == said(Client().post("/recover/", {"email": "nobody@nowhere.test"}, follow=True))
    for _ in range(3):
        Client().post("/recover/", {"email": member.username})
    send_account_mail()
    (message,) = mail.outbox  # and not four
    link = re.search(rf"{settings.PUBLIC_URL}(\S+)", str(message.body))
    assert link is not None
    client = Client()
    form = client.get(link.group(1), follow=True)
    new = {"new_password1": "brand-new-and-long", "new_password2": "brand-new-and-long"}
    assert client.post(form.redirect_chain[-1][0], new)["Location"] == "/sign-in/"
    assert sign_in(member.username, "brand-new-and-long").status_code == 302
    assert "used already" in Client().get(link.group(1), follow=True).content.decode()


def owner() -> tuple[User, Client]:
    user = make_member(make_workspace(), "owner")
    client = Client()
    client.force_login(user)
    return user, client


def test_u6_an_owner_invites_and_the_mailed_link_makes_a_member_once(settings: Any) -> None:
    _, client = owner()
    page = client.post("/members/", {"email": "New@Customer.test", "role": "member"}, follow=True).content.decode()
    send_account_mail()
    found = re.search(rf"{settings.PUBLIC_URL}(/invitation/\S+)", str(mail.outbox[0].body))
    assert found is not None and "is on its way to" in page
    assert found.group(1) not in page, "who reads it shows that the address is theirs"
    guest = Client()
    assert guest.post(found.group(1), {"password": "short"}).status_code == 200
    assert guest.post(found.group(1), {"password": "long-enough-for-a-guest"})["Location"] == "/mailboxes/"
    member = Membership.objects.get(user__username="new@customer.test")
    assert member.role == "member" and guest.get("/mailboxes/").status_code == 200
    assert Client().get(found.group(1)).status_code == 404
    assert found.group(1).split("/")[2] not in str(list(Invitation.objects.values_list())), "kept as a hash alone"


def test_u6_a_member_does_not_invite() -> None:
    client = Client()
    client.force_login(make_member(make_workspace()))
    assert client.post("/members/", {"email": "a@b.test", "role": "owner"}).status_code == 404
    assert not Invitation.objects.exists()


def test_u6_an_invitation_ends_after_a_week_and_by_a_newer_one() -> None:
    user, _ = owner()
    workspace = user.memberships.get().workspace
    now = timezone.now()
    _, old = invite(workspace, "a@b.test", role="member", acting_user=user, now=now - timedelta(days=7))
    _, first = invite(workspace, "a@b.test", role="member", acting_user=user, now=now)
    _, second = invite(workspace, "a@b.test", role="member", acting_user=user, now=now)
    codes = [Client().get(f"/invitation/{token}/").status_code for token in (old, first, second)]
    assert codes == [404, 404, 200]


def test_u6_a_known_address_signs_in_to_join() -> None:
    user, _ = owner()
    guest = make_member(make_workspace())
    workspace = user.memberships.get().workspace
    _, token = invite(workspace, guest.username, role="member", acting_user=user, now=timezone.now())
    stranger = Client()
    stranger.post(f"/invitation/{token}/", {"password": "taking-over-an-account"})
    assert not Membership.objects.filter(user=guest, workspace=workspace).exists()
    client = Client()
    client.force_login(guest)
    client.post(f"/invitation/{token}/")
    assert Membership.objects.filter(user=guest, workspace=workspace).exists()


# ---- the second factor of staff


@pytest.fixture
def gate(settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True


def code(device: CodeDevice, steps_on: int = 0) -> str:
    return f"{totp(bytes.fromhex(str(device.key)), drift=steps_on):06d}"


@pytest.mark.usefixtures("gate")
def test_s6_staff_see_nothing_before_the_second_factor(support: User, support_client: Client) -> None:
    mailbox = make_mailbox()
    for place in ("/admin/", f"/admin/mailboxes/mailbox/{mailbox.pk}/change/", f"/mailboxes/{mailbox.pk}/", "/"):
        assert support_client.get(place)["Location"].startswith("/second-factor/")
    setup = support_client.get("/second-factor/").content.decode()
    device = CodeDevice.objects.get(user=support)
    assert "data:image/svg+xml" in setup and not device.confirmed
    assert support_client.post("/second-factor/", {"code": "000000"}).status_code == 403
    assert support_client.get("/admin/").status_code == 302


@pytest.mark.usefixtures("gate")
def test_s6_the_code_opens_the_session_once(support: User, support_client: Client) -> None:
    support_client.get("/second-factor/?next=/admin/")
    device = CodeDevice.objects.get(user=support)
    now = code(device)
    assert support_client.post("/second-factor/", {"code": now})["Location"] == "/second-factor/codes/?next=%2F"
    assert support_client.get("/admin/").status_code == 200
    assert AuditEntry.objects.filter(action="second factor set up").exists()
    again = Client()
    again.force_login(support)
    assert again.post("/second-factor/", {"code": now}).status_code == 403, "a code counts once"
    text = again.get("/second-factor/").content.decode()
    assert "data:image" not in text, "the key is shown at the set-up alone"


@pytest.mark.usefixtures("gate")
def test_s6_two_requests_with_one_code_open_one_session(support: User) -> None:
    device = CodeDevice.objects.create(user=support, name="x", key=CodeDevice.new_key())
    both = [CodeDevice.objects.get(pk=device.pk) for _ in range(2)]
    assert [one.verify_token(code(device)) for one in both] == [True, False]


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("typed", ["²²²²²²", "", "abc", "-1", "1" * 400])
def test_s6_a_code_that_is_no_number_is_a_wrong_one(support_client: Client, typed: str) -> None:
    assert support_client.post("/second-factor/", {"code": typed}).status_code == 403


@pytest.mark.usefixtures("gate")
def test_s6_wrong_codes_make_the_right_one_wait(support: User, support_client: Client) -> None:
    support_client.get("/second-factor/")
    for _ in range(3):
        support_client.post("/second-factor/", {"code": "123"})
    assert support_client.post("/second-factor/", {"code": code(CodeDevice.objects.get())}).status_code == 403


@pytest.mark.usefixtures("gate")
def test_s6_members_need_no_second_factor() -> None:
    client = Client()
    client.force_login(make_member(make_mailbox().workspace))
    assert client.get("/mailboxes/").status_code == 200


def test_s1_the_second_factors_key_is_encrypted(support: User) -> None:
    key = CodeDevice.new_key()
    CodeDevice.objects.create(user=support, name="x", key=key)
    with connection.cursor() as cursor:
        cursor.execute("SELECT key FROM mailboxes_codedevice")
        assert key not in str(bytes(cursor.fetchone()[0]))


@pytest.mark.parametrize("place", ["/sign-in/", "/help/", "/admin/login/"])
def test_s6_every_page_has_a_content_security_policy(place: str) -> None:
    policy = Client().get(place)["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy and "unsafe-inline' 'unsafe-eval" not in policy
    assert ("unsafe" in policy) is place.startswith("/admin/")
