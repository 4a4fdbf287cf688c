"""The credentials form: warnings before a test, attacks refused at the field, limits told (SPEC C2 to C6, S2 to S4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from mailboxes.health.record import record
from mailboxes.models import Candidate, Mailbox, Trial
from mailboxes.reconnect.credentials import Password
from mailboxes.reconnect.testing import run_trials
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Leg
from tests.make import (
    IMAP_REFUSED,
    REFUSED,
    START,
    Clock,
    evidence,
    make_mailbox,
    make_member,
    make_outgoing,
    make_sandbox_mailbox,
    make_workspace,
    secret,
)
from tests.secrets import leaks
from tests.wire.battery import BREAKS, HOSTS, PORTS

pytestmark = pytest.mark.django_db


def customer(mailbox: Mailbox) -> Client:
    client = Client()
    client.force_login(make_member(mailbox.workspace))
    return client


def form(**values: Any) -> dict[str, Any]:
    typed = {
        "password": secret(), "same_login": "on", "wants_smtp": "on", "smtp_host": "smtp.example.com",
        "smtp_port": 465, "smtp_security": "ssl", "smtp_username": "", "wants_imap": "on",
        "imap_host": "imap.example.com", "imap_port": 993, "imap_security": "ssl", "imap_username": "",
        "imap_password": "", "imap_folder": "INBOX", "reviewed": "",
    } | values  # fmt: skip
    return {name: value for name, value in typed.items() if value is not None}


def errors(response: Any) -> dict[str, str]:
    assert response.status_code == 422, "taken, and should not be"
    return {name: found[0] for name, found in response.context["form"].errors.items()}


def warnings(response: Any) -> dict[str, str]:
    return {warned.field: warned.text for warned in response.context["form"].warnings}


def nothing_kept() -> bool:
    return not Trial.objects.exists() and not Candidate.objects.exists()


@pytest.fixture
def mailbox(db: None) -> Mailbox:
    return make_mailbox(address="anna@northwind.test")


@pytest.mark.parametrize("field", ["smtp_host", "imap_host"])
@pytest.mark.parametrize("host", HOSTS)
def test_s2_a_host_that_is_no_plain_name_is_refused_at_its_field(mailbox: Mailbox, field: str, host: str) -> None:
    found = errors(customer(mailbox).post(f"/mailboxes/{mailbox.pk}/credentials/", form(**{field: host})))
    assert "host" in found[field] or "at most 253" in found[field]
    assert nothing_kept()


@pytest.mark.parametrize("field", ["smtp_port", "imap_port"])
@pytest.mark.parametrize("port", [*PORTS, -1, "x"])
def test_s2_a_port_that_is_not_for_mail_is_refused_at_its_field(mailbox: Mailbox, field: str, port: Any) -> None:
    assert field in errors(customer(mailbox).post(f"/mailboxes/{mailbox.pk}/credentials/", form(**{field: port})))
    assert nothing_kept()


@pytest.mark.parametrize("field", ["password", "imap_password", "smtp_username", "imap_username", "imap_folder"])
@pytest.mark.parametrize("attack", BREAKS, ids=ascii)
def test_s3_a_control_character_is_refused_at_its_field(mailbox: Mailbox, field: str, attack: str) -> None:
    values = form(same_login=None, **{field: f"a{attack}b"})
    answer = customer(mailbox).post(f"/mailboxes/{mailbox.pk}/credentials/", values)
    assert answer.status_code == 400 if attack == "\0" else field in errors(answer)  # no page reads a NUL (SEC-21)
    assert nothing_kept()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "smtp.example.com:25"])
def test_s2_the_connect_form_refuses_the_same(mailbox: Mailbox, host: str) -> None:
    response = customer(mailbox).post("/connect/", form(address="new@northwind.test", smtp_host=host))
    assert "smtp_host" in errors(response) and nothing_kept()


@pytest.mark.parametrize("address", ["no-address", "a@b@c", "a@x y.test", "a\r\n@b.test", "a@[127.0.0.1]x"])
def test_an_address_that_is_none_gets_no_form(mailbox: Mailbox, address: str) -> None:
    text = customer(mailbox).get("/connect/", {"address": address}).content.decode()
    assert "Type the whole address" in text and "Test and save" not in text


@pytest.mark.parametrize(
    ("provider", "values", "field", "words"),
    [
        ("", {"smtp_host": "imap.a.test", "imap_host": "smtp.a.test"}, "smtp_host", "swapped"),
        ("", {"smtp_host": "pop.a.test"}, "smtp_host", "looks like a server for reading"),
        ("", {"imap_host": "pop3.a.test"}, "imap_host", "POP3"),
        ("gmail", {"smtp_host": "smtp.gmail.com", "imap_host": "smtp.gmail.com"}, "imap_host", "looks like"),
        ("", {"smtp_port": 587, "smtp_security": "ssl"}, "smtp_security", "STARTTLS"),
        ("", {"imap_port": 993, "imap_security": "starttls"}, "imap_security", "SSL/TLS"),
        ("", {"smtp_port": 993}, "smtp_port", "for reading"),
        ("gmail", {"smtp_username": "anna"}, "smtp_username", "whole address"),
        ("gmail", {"password": "my-ordinary-PmSecretXyz"}, "password", "app password"),
        ("", {"password": " PmSecretXyz "}, "password", "space before or after"),
    ],
)
def test_c4_what_looks_wrong_is_said_at_its_field_before_any_login(
    provider: str, values: dict[str, Any], field: str, words: str
) -> None:
    mailbox = make_mailbox(provider=provider)
    url = f"/mailboxes/{mailbox.pk}/credentials/"
    client, typed = customer(mailbox), form(**values)
    response = client.post(url, typed)
    assert words in warnings(response)[field] and nothing_kept()
    assert not leaks(response.content.decode()), "the password is not sent back"
    mark = response.context["form"].review_mark
    assert client.post(url, typed | {"reviewed": mark}).status_code == 302, "seen, and passed over"


def test_c4_the_spaces_of_an_app_password_are_taken_out() -> None:
    mailbox = make_mailbox(provider="gmail")
    customer(mailbox).post(f"/mailboxes/{mailbox.pk}/credentials/", form(password="abcd efgh ijkl mnop"))
    assert Candidate.objects.get().password == "abcdefghijklmnop"


@pytest.mark.usefixtures("network")
def test_c6_a_refused_password_is_known_again(sandbox: Sandbox, clock: Clock, network: Callable[[], None]) -> None:
    mailbox, _ = make_sandbox_mailbox(sandbox)
    network()
    client, url = customer(mailbox), f"/mailboxes/{mailbox.pk}/credentials/"
    names = ("smtp_host", "smtp_port", "imap_host", "imap_port")
    typed = form(**{name: getattr(mailbox, name) for name in names})
    assert client.post(url, typed).status_code == 302
    assert run_trials(1, make_outgoing(sandbox, clock)) == 1
    assert Trial.objects.get().verdict == "refused"
    assert "was refused on" in warnings(client.post(url, typed))["password"]
    assert client.post(url, typed | {"password": secret()}).status_code == 302, "another one is tested"


def test_c6_the_stored_and_refused_password_is_known_too(mailbox: Mailbox) -> None:
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    stored = str(mailbox.credential.password)
    response = customer(mailbox).post(f"/mailboxes/{mailbox.pk}/credentials/", form(password=stored))
    assert "stored password, which is refused" in warnings(response)["password"] and nothing_kept()


def test_u2_with_htmx_the_notes_come_alone_and_the_typed_password_stays_in_the_page(mailbox: Mailbox) -> None:
    client, url = customer(mailbox), f"/mailboxes/{mailbox.pk}/credentials/"
    noted = client.post(url, form(smtp_host="127.0.0.1"), headers={"HX-Request": "true"})
    text = noted.content.decode()
    assert noted.status_code == 200 and "<html" not in text and 'id="notes-smtp_host" hx-swap-oob' in text
    done = client.post(url, form(), headers={"HX-Request": "true"})
    assert done["HX-Redirect"] == f"/tests/{Trial.objects.get().pk}/"


def test_s4_the_limit_is_told_in_the_form(mailbox: Mailbox) -> None:
    client, url = customer(mailbox), f"/mailboxes/{mailbox.pk}/credentials/"
    for _ in range(5):
        assert client.post(url, form()).status_code == 302
    response = client.post(url, form())
    assert "try again in" in errors(response)["__all__"] and Trial.objects.count() == 5


def test_s4_an_unknown_user_and_a_wrong_password_read_the_same(sandbox: Sandbox, clock: Clock) -> None:
    mailbox, account = make_sandbox_mailbox(sandbox)
    client, told = customer(mailbox), []
    for name, password in ((account.address, secret()), ("nobody@nowhere.test", account.password)):
        place = {
            key: getattr(mailbox, key) for key in ("smtp_host", "smtp_port", "imap_host", "imap_port", "imap_folder")
        }
        whole = place | {
            "wants_smtp": True, "wants_imap": True, "smtp_security": "ssl", "imap_security": "ssl",
            "smtp_username": name, "imap_username": name,
        }  # fmt: skip
        wish = Wish(mailbox.workspace, mailbox.address, whole, Password(password), mailbox)
        trial = begin(wish, acting_user=make_member(mailbox.workspace), now=clock())
        run_trials(1, make_outgoing(sandbox, clock))
        text = client.get(f"/tests/{trial.pk}/").content.decode()
        told.append(text.replace(f"/tests/{trial.pk}/", "").partition("<main")[2].partition("csrf")[0])
    assert told[0] == told[1]


def test_c3_the_address_fills_the_form(mailbox: Mailbox) -> None:
    text = customer(mailbox).get("/connect/", {"address": "somebody@gmail.com"}).content.decode()
    assert 'value="smtp.gmail.com"' in text and "myaccount.google.com/apppasswords" in text


def test_c2_an_address_that_is_here_already_leads_to_its_page(mailbox: Mailbox) -> None:
    response = customer(mailbox).get("/connect/", {"address": mailbox.address.upper()})
    assert response["Location"] == f"/mailboxes/{mailbox.pk}/"


def test_c2_a_workspace_of_ones_own_is_needed() -> None:
    workspace = make_workspace()
    user = make_member(workspace)
    user.memberships.all().delete()
    client = Client()
    client.force_login(user)
    assert client.get("/connect/").status_code == 404


def test_c3_ten_addresses_a_minute_are_looked_up(mailbox: Mailbox) -> None:
    client = customer(mailbox)
    answers = [client.get("/connect/", {"address": f"a{number}@gmail.com"}).content.decode() for number in range(11)]
    assert ["Too many addresses" in text for text in answers] == [False] * 10 + [True]
