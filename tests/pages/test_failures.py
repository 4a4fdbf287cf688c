"""What did not work ends in a sentence and a way on (UX-2; SPEC S6)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mailboxes.models import AskedCheck, Mailbox
from mailboxes.reconnect import administrator
from tests.make import make_mailbox, make_member
from tests.pages.customers import broken, customer
from tests.pages.test_administrator import tenant_off

pytestmark = pytest.mark.django_db
HERE = "http://testserver"


@pytest.fixture
def mailbox() -> Mailbox:
    return broken()


def sent_to(response: Any) -> tuple[str, dict[str, str]]:
    parts = urlsplit(response["HX-Redirect"] if "HX-Redirect" in response else response["Location"])
    return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}


def test_ux2_a_button_of_an_ended_session_leads_back_to_its_page(mailbox: Mailbox) -> None:
    page = f"/mailboxes/{mailbox.pk}/"
    guest = Client()
    answer = guest.post(f"{page}check/", headers={"Referer": HERE + page})
    assert sent_to(answer) == ("/sign-in/", {"next": page, "again": "1"})
    words = guest.get(answer["Location"]).content.decode()
    assert "Your session has ended, so what you pressed was not done" in words
    member = make_member(mailbox.workspace)
    form = {"username": member.username, "password": "signs-in-with-this", "next": page}
    signed_in = guest.post(answer["Location"], form)
    assert signed_in["Location"] == page and guest.get(page).status_code == 200
    assert not AskedCheck.objects.exists()


def test_ux2_the_admins_check_now_leads_back_to_its_page_and_no_blank_405(support: User) -> None:
    change = reverse("admin:mailboxes_mailbox_change", args=[make_mailbox().pk])
    guest = Client()
    for path in _posted_to(support, change):
        answer = guest.post(path, headers={"Referer": HERE + change})
        assert sent_to(answer) == ("/sign-in/", {"next": change, "again": "1"}), path
    form = {"username": "sue", "password": "sue-signs-in-here", "next": change}
    assert guest.post("/sign-in/", form)["Location"] == change
    assert guest.get(change).status_code == 200


def _posted_to(support: User, change: str) -> list[str]:
    """What the buttons of the page post to."""
    client = Client()
    client.force_login(support)
    page = client.get(change).content.decode()
    found = [part.split('"')[0] for part in page.split('action="')[1:]]
    deeds = [path for path in found if path.startswith("/admin/mailboxes/")]
    assert any("check" in path for path in deeds)
    return deeds


@pytest.mark.parametrize("at", ["", "https://evil.test/mailboxes/", "//evil.test", "javascript:alert(1)", "not a url"])
def test_ux2_no_foreign_page_is_come_back_to(at: str, mailbox: Mailbox) -> None:
    answer = Client().post(f"/mailboxes/{mailbox.pk}/check/", headers={"Referer": at})
    assert sent_to(answer) == ("/sign-in/", {"next": "/", "again": "1"})
    live = Client().get(f"/mailboxes/{mailbox.pk}/live/", headers={"HX-Request": "true", "HX-Current-URL": at})
    assert sent_to(live)[1]["next"] == "/"


@pytest.mark.parametrize("part", ["live/", "credentials/"])
def test_ux2_a_part_of_a_page_gets_the_sign_in_as_a_whole_page(part: str, mailbox: Mailbox) -> None:
    page = f"/mailboxes/{mailbox.pk}/?from=list"
    headers = {"HX-Request": "true", "HX-Current-URL": HERE + page}
    answer = Client().get(f"/mailboxes/{mailbox.pk}/{part}", headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert sent_to(answer) == ("/sign-in/", {"next": page, "again": "1"})


def test_ux2_a_button_before_the_second_factor_leads_back_too(support_client: Client, settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True
    page = "/admin/mailboxes/mailbox/?needs=reconnect"
    answer = support_client.post("/admin/mailboxes/mailbox/", headers={"Referer": HERE + page})
    assert sent_to(answer) == ("/second-factor/", {"next": page, "again": "1"})
    assert "was not done yet" in support_client.get(answer["Location"]).content.decode()


def test_ux2_signing_out_is_no_ended_session(mailbox: Mailbox) -> None:
    assert customer(mailbox.workspace).post("/sign-out/", headers={"Referer": HERE + "/"})["Location"] == "/sign-in/"


def test_ux2_a_page_that_is_asked_for_is_come_back_to_with_its_query() -> None:
    assert sent_to(Client().get("/mailboxes/?page=2&q=a")) == ("/sign-in/", {"next": "/mailboxes/?page=2&q=a"})


def test_ux2_a_buttons_address_opened_as_a_link_says_so(mailbox: Mailbox) -> None:
    answer = customer(mailbox.workspace).get(f"/mailboxes/{mailbox.pk}/check/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "works only by its button" in answer.content.decode()


def test_ux2_a_form_that_is_too_old_gets_a_page_of_ours_and_a_way_on(mailbox: Mailbox) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_member(mailbox.workspace))
    page = f"/mailboxes/{mailbox.pk}/"
    answer = client.post(f"{page}check/", headers={"Referer": HERE + page})
    words = answer.content.decode()
    assert answer.status_code == 403 and "open for too long" in words and f'href="{page}"' in words
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    link = reverse("administrator", args=[administrator.token_for(tenant_off())])
    assert f'href="{link}"' in Client(enforce_csrf_checks=True).post(link).content.decode()


def test_ux2_errors_wear_our_look_and_lead_on(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    client = customer(mailbox.workspace)
    client.raise_request_exception = False
    lost = client.get("/nowhere/")
    bad = client.get("/", headers={"Host": "evil.test"})
    monkeypatch.setattr("mailboxes.pages.listing.Mailbox", None)  # a fault of our own
    ours = client.get("/mailboxes/")
    found = [(answer.status_code, answer.content.decode()) for answer in (lost, bad, ours)]
    assert [status for status, _ in found] == [404, 400, 500]
    for (_, words), sentence in zip(found, ("nothing here", "cannot be read", "on our side"), strict=True):
        assert sentence in words and 'href="/"' in words and "pages.css" in words


def test_ux2_what_staff_may_not_do_is_said() -> None:
    clerk = User.objects.create_user("clerk", password="x", is_staff=True)
    client = Client()
    client.force_login(clerk)
    answer = client.get("/admin/mailboxes/mailbox/")
    assert answer.status_code == 403 and "not allowed to do this" in answer.content.decode()
