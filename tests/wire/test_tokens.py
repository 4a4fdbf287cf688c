"""Refreshing a grant at a real token endpoint over TLS (RFC 6749 section 6)."""

from __future__ import annotations

import asyncio

import pytest

from mailboxes.sandbox.faults import faults
from mailboxes.sandbox.server import CLIENT, Sandbox
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.tokens import OAuthClient, Refreshed, _judge, refresh
from mailboxes.wire.values import Leg, Stage, WireFault
from tests.make import FAST, make_account
from tests.secrets import leaks


def ask(sandbox: Sandbox, token: str, secret: str = CLIENT[1], url: str = "") -> Refreshed:
    client = OAuthClient(url or sandbox.token_url, CLIENT[0], secret, ("mail",))
    return asyncio.run(refresh(client, token, sandbox.connector(FAST)))


def test_a_living_grant_gives_an_access_token_that_logs_in(sandbox: Sandbox) -> None:
    account = make_account(sandbox)
    found = ask(sandbox, account.refresh_token)
    assert found.report.ok and found.tokens is not None
    assert account.accepts_token(account.address, found.tokens.access_token, "imap")
    assert (found.tokens.expires_in_s, found.tokens.refresh_token) == (3600, "")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("grant-revoked", "invalid_grant AADSTS50173"),
        ("client-secret-expired", "invalid_client AADSTS7000222"),
        ("token-endpoint-503", "HTTP 503"),
    ],
)
def test_h4_a_refusal_keeps_its_structure(sandbox: Sandbox, fault: str, code: str) -> None:
    account = make_account(sandbox, faults()[fault])
    step = ask(sandbox, account.refresh_token).report.failed
    assert step is not None and (step.stage, step.code) == (Stage.TOKEN, code)


def test_h9_a_wrong_client_secret_is_invalid_client(sandbox: Sandbox) -> None:
    account = make_account(sandbox)
    step = ask(sandbox, account.refresh_token, secret="another").report.failed
    assert step is not None and step.code == "invalid_client"


def test_h11_a_network_fault_is_no_revoked_grant(sandbox: Sandbox) -> None:
    found = ask(sandbox, "x", url=f"https://nowhere.sandbox.test:{sandbox.token_port}/token")
    assert found.report.failed is not None and found.report.failed.code == "NXDOMAIN"


def test_s1_tokens_show_in_no_repr(sandbox: Sandbox) -> None:
    account = make_account(sandbox)
    assert leaks(repr(ask(sandbox, account.refresh_token))) == []


def test_sec20_half_an_answer_keeps_no_token_that_it_holds() -> None:
    body = b'{"access_token": null, "refresh_token": "0.AXoA-a-fresh-one"}'
    with pytest.raises(WireFault) as caught:
        _judge(200, body, Recorder(Leg.OAUTH))
    assert "[secret]" in caught.value.text
    assert "AXoA" not in caught.value.text
