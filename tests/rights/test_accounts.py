"""A user has an email address: links for a new password are sent there (UX-5)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.account_mail import ask_recovery
from mailboxes.tasks import send_account_mail
from tests.make import START
from tests.rights.test_audit import change

pytestmark = pytest.mark.django_db
PASSWORD = "long-enough-for-anybody"


def add(client: Client, **values: str) -> Any:
    known = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    return client.post("/admin/auth/user/add/", known | values)


def test_ux5_an_address_as_user_name_is_the_email_address_in_small_letters(support_client: Client) -> None:
    add(support_client, username="Anna@Customer.test")
    user = User.objects.get(username="anna@customer.test")
    assert user.email == "anna@customer.test"


def test_ux5_a_name_that_is_no_address_needs_one(support_client: Client) -> None:
    page = add(support_client, username="anna").content.decode()
    assert "Enter an email address" in page and not User.objects.filter(username="anna").exists()
    assert add(support_client, username="anna", email="anna@customer.test").status_code == 302


def test_ux5_an_email_address_is_not_emptied(support_client: Client) -> None:
    user = User.objects.create_user("anna", "anna@customer.test")
    assert change(support_client, user, email="").status_code == 200
    assert User.objects.get(pk=user.pk).email == "anna@customer.test"


def test_ux5_whoever_was_added_by_the_form_gets_the_recovery_mail(support_client: Client, mailoutbox: Any) -> None:
    add(support_client, username="anna", email="anna@customer.test")
    ask_recovery("anna@customer.test", None, START)
    send_account_mail()
    assert [mail.to for mail in mailoutbox] == [["anna@customer.test"]]
