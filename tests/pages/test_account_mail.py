"""Recovery and invitations by a worker: limited, alike for all, with links of ours (SPEC U6, S4, S6)."""

from __future__ import annotations

import io
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from config.logs import NoKeysInPaths, without_keys
from mailboxes import account_mail, members, worker
from mailboxes.account_mail import INVITATIONS, INVITATIONS_TO_ADDRESS, INVITATIONS_TO_ADDRESS_BY_ALL, LEASE
from mailboxes.limits import Limited
from mailboxes.models import AccountMail, Invitation, Workspace
from mailboxes.reconnect import administrator
from mailboxes.tasks import send_account_mail
from tests.make import START, make_member, make_workspace
from tests.pages.customers import text
from tests.pages.test_administrator import tenant_off

pytestmark = pytest.mark.django_db


def recover(email: str, **more: str) -> tuple[list[str], Any]:
    """What the database was asked, without values; and the answer."""
    with CaptureQueriesContext(connection) as seen:
        answer = Client(**more).post("/recover/", {"email": email})  # type: ignore[arg-type]
    return [re.sub(r"'[^']*'|\b\d+\b", "?", query["sql"]) for query in seen.captured_queries], answer


def owner_of(workspace: Workspace) -> Client:
    client = Client()
    client.force_login(make_member(workspace, "owner"))
    return client


def invite(client: Client, email: str) -> str:
    page = client.post("/members/", {"email": email, "role": "member"}, follow=True)
    return str(page.content.decode())


def test_sec11_a_known_and_an_unknown_address_take_the_same_way() -> None:
    member = make_member(make_workspace())
    known, unknown = recover(member.username), recover("nobody@nowhere.test")
    assert known[0] == unknown[0] and known[0], "statement by statement"
    assert known[1]["Location"] == unknown[1]["Location"]
    assert mail.outbox == [], "no mail server is asked inside a request"
    assert send_account_mail() == 2
    assert [message.to for message in mail.outbox] == [[member.username]]
    assert not AccountMail.objects.exists()


def test_sec11_one_network_asks_for_twenty_an_hour() -> None:
    for number in range(40):
        recover(f"somebody{number}@customer.test")
    assert AccountMail.objects.count() == account_mail.RECOVERY_BY_NETWORK.most


def test_u6_whose_record_holds_another_address_recovers_by_either() -> None:
    User.objects.create_user("sue", "sue@postmend.test", "sue-signs-in-here")
    User.objects.create_user("away", "away@postmend.test", "was-here-once", is_active=False)
    User.objects.create_user("sso", "sso@postmend.test")
    for address in ("Sue@postmend.test", "away@postmend.test", "sso@postmend.test"):
        recover(address)
    send_account_mail()
    assert [message.to for message in mail.outbox] == [["sue@postmend.test"]]


def test_u6_the_worker_is_rung_for_mail_that_waits() -> None:
    recover("nobody@nowhere.test")
    assert worker.SEND_ACCOUNT_MAIL in worker.ring(timezone.now())


def test_u6_mail_that_is_not_taken_is_tried_three_times(settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1", 9,
    )  # fmt: skip
    recover(make_member(make_workspace()).username)
    now = timezone.now()
    tried = [account_mail.send_waiting(3, now + number * LEASE) for number in range(5)]
    assert tried == [1, 1, 1, 0, 0] and not AccountMail.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_u6_two_workers_send_one_mail_once() -> None:
    for number in range(6):
        AccountMail.objects.create(email=make_member(make_workspace()).username, asked_at=START + timedelta(0, number))
    together = threading.Barrier(4)

    def send(_: int) -> int:
        try:
            together.wait(timeout=30)
            return account_mail.send_waiting(3, START)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(send, range(4))) <= 6
    send_account_mail()
    assert len(mail.outbox) == len({message.to[0] for message in mail.outbox}) == 6


# ---- invitations


def test_sec10_withdrawing_gives_no_further_invitation_of_a_stranger() -> None:
    client = owner_of(make_workspace())
    pages = []
    for _ in range(6):
        pages.append(invite(client, "stranger@elsewhere.test"))
        found = Invitation.objects.order_by("-pk").first()
        assert found is not None
        client.post(f"/members/invitations/{found.pk}/withdraw/")
    assert ["on its way" in page for page in pages] == [True] * INVITATIONS_TO_ADDRESS.most + [False] * 4
    assert "Too many invitations" in pages[-1] and "try again in" in pages[-1]
    assert Invitation.objects.count() == AccountMail.objects.count() == INVITATIONS_TO_ADDRESS.most


def test_sec10_a_stranger_is_invited_five_times_a_day_by_all_workspaces() -> None:
    for _ in range(8):
        invite(owner_of(make_workspace()), "Stranger@elsewhere.test")
    assert AccountMail.objects.count() == INVITATIONS_TO_ADDRESS_BY_ALL.most


@pytest.mark.django_db(transaction=True)
def test_sec10_a_workspace_invites_fifty_a_day_also_in_parallel() -> None:
    workspace = make_workspace()
    me = make_member(workspace, "owner")
    together = threading.Barrier(12)

    def invite_many(part: int) -> int:
        done = 0
        try:
            together.wait(timeout=30)
            for number in range(10):
                try:
                    address = f"guest{part}-{number}@elsewhere.test"
                    account_mail.invite(workspace, address, role="member", acting_user=me, now=START)
                    done += 1
                except Limited:
                    continue
        finally:
            connections.close_all()
        return done

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(invite_many, range(12))) == INVITATIONS.most == AccountMail.objects.count()


def test_sec10_a_withdrawn_invitation_is_not_sent() -> None:
    client = owner_of(make_workspace())
    invite(client, "a@elsewhere.test")
    client.post(f"/members/invitations/{Invitation.objects.get().pk}/withdraw/")
    send_account_mail()
    assert mail.outbox == []


@pytest.mark.parametrize("length", [151, 254])
def test_code15_an_address_too_long_for_a_user_name_is_refused_with_a_reason(length: int) -> None:
    long = "a" * 60 + "@" + ".".join(["b" * 60] * 4)
    long = long[: length - 5] + ".test"
    client = owner_of(make_workspace())
    assert "at most 150 characters" in invite(client, long)
    user = User.objects.get(memberships__role="owner")
    workspace = user.memberships.get().workspace
    _, token = members.invite(workspace, long, role="member", acting_user=user, now=timezone.now())
    page = Client().post(f"/invitation/{token}/", {"password": "long-enough-for-a-guest"})
    assert page.status_code == 200 and "too long for a user name" in page.content.decode()


# ---- links


def test_sec17_links_lead_where_public_url_says_whatever_host_was_asked(settings: Any) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://mail.example.com", ["*"]
    mailbox = tenant_off()
    owner = Client(SERVER_NAME="evil.test", SERVER_PORT="6666")
    owner.force_login(make_member(mailbox.workspace, "owner"))
    invite(owner, "guest@elsewhere.test")
    recover(make_member(mailbox.workspace).username, SERVER_NAME="evil.test", SERVER_PORT="6666")
    send_account_mail()
    words = [str(message.body) for message in mail.outbox] + [text(owner.get(f"/mailboxes/{mailbox.pk}/"))]
    for one, page in zip(words, ("invitation", "recover", "administrator"), strict=True):
        assert f"https://mail.example.com/{page}/" in one and "evil.test" not in one


def test_sec17_a_valid_administrators_link_stands_in_no_log() -> None:
    link = reverse("administrator", args=[administrator.token_for(tenant_off())])
    (console,) = [one for one in logging.getLogger().handlers if any(isinstance(f, NoKeysInPaths) for f in one.filters)]
    assert isinstance(console, logging.StreamHandler)
    usual, kept = console.stream, io.StringIO()
    console.setStream(kept)
    try:
        assert Client(enforce_csrf_checks=True).post(link).status_code == 403
        statuses = [Client().post(link).status_code for _ in range(11)]
    finally:
        console.setStream(usual)
    assert statuses[-1] == 429
    assert "Forbidden" in kept.getvalue() and "Too Many Requests: /administrator/[key]" in kept.getvalue()
    assert link.split("/")[2] not in kept.getvalue()


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Forbidden: /invitation/abc-DEF_1/", "Forbidden: /invitation/[key]/"),
        ("Not Found: /recover/Mg/c0ffee-1/", "Not Found: /recover/Mg/[key]/"),
        ("Not Found: /unsubscribe/1:x/", "Not Found: /unsubscribe/[key]/"),
        ("Not Found: /recover/sent/", "Not Found: /recover/sent/"),
        ("Not Found: /mailboxes/7/", "Not Found: /mailboxes/7/"),
    ],
)
def test_sec17_keys_of_links_are_masked_in_a_line(line: str, kept: str) -> None:
    assert without_keys(line) == kept


def test_code15_a_link_of_a_cause_that_was_renamed_is_over() -> None:
    mailbox = tenant_off()
    mailbox.category = "no_longer_called_so"
    response = Client().get(reverse("administrator", args=[administrator.token_for(mailbox)]))
    assert response.status_code == 404
