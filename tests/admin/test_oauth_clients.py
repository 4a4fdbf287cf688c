"""Our registrations in the admin: filled in for Google and Microsoft, and secrets over TLS alone (SPEC C1, S1)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from mailboxes.models import OAuthClient
from mailboxes.reconnect.oauth.registrations import registration
from tests.make import secret

pytestmark = pytest.mark.django_db
ADD = "/admin/mailboxes/oauthclient/add/"


def form(**values: str) -> dict[str, Any]:
    return {"name": "google", "client_id": "our-id", "new_secret": secret()} | values


@pytest.mark.parametrize("name", ["google", "microsoft"])
def test_c1_what_is_left_empty_is_filled_in(support_client: Client, name: str) -> None:
    assert support_client.post(ADD, form(name=name)).status_code == 302
    made, known = OAuthClient.objects.get(name=name), registration(name)
    assert known is not None and made.client_secret
    assert (made.token_url, made.authorize_url, made.identity_url) == (
        known.token_url, known.authorize_url, known.identity_url,
    )  # fmt: skip
    assert known.missing(made.scopes) == [] and made.mail_hosts.split() == list(known.mail_hosts)


@pytest.mark.parametrize("url", ["http://login.example.com/token", "ftp://login.example.com/token"])
@pytest.mark.parametrize("field", ["token_url", "identity_url", "revoke_url"])
def test_s1_a_place_that_is_told_a_secret_is_reached_over_tls_alone(
    support_client: Client, field: str, url: str
) -> None:
    values = {"name": "another", "token_url": "https://login.example.com/token"} | {field: url}
    response = support_client.post(ADD, form(**values))
    assert "https://" in response.context["adminform"].form.errors[field][0]
    assert not OAuthClient.objects.exists()
