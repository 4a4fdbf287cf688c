"""Refresh an OAuth grant at its token endpoint (RFC 6749 section 6), through the same connector as mail."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from mailboxes.wire import strange_json
from mailboxes.wire.connector import Connector
from mailboxes.wire.faults import log_fault
from mailboxes.wire.http import HttpRequest, fetch
from mailboxes.wire.masking import mask
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.values import Leg, Report, WireFault

logger = logging.getLogger(__name__)
_AADSTS = re.compile(r"AADSTS\d+")


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Our registration at a provider. Its access tokens are told to `mail_hosts` alone (`Login.hosts`)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    mail_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint gave. `refresh_token` is "" where the provider sent none: keep the old one."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int
    scope: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The OAuth leg's report, and the tokens where it passed."""

    report: Report
    tokens: Tokens | None


async def refresh(client: OAuthClient, refresh_token: str, connector: Connector) -> Refreshed:
    """Ask for a new access token. Never raises: a fault of our own is a failed step like any other."""
    recorder = Recorder(Leg.OAUTH, lambda: (refresh_token, client.client_secret))
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    form |= {"client_id": client.client_id, "client_secret": client.client_secret}
    if client.scopes:
        form["scope"] = " ".join(client.scopes)
    tokens = None
    try:
        tokens = await _ask(client.token_url, form, connector, recorder)
        recorder.passed()
    except WireFault as fault:
        recorder.failed(fault)
    except Exception as error:
        log_fault(logger, error, "a refresh ended in our own fault")
        recorder.failed_by_us(error)
    return Refreshed(recorder.report(), tokens)


async def _ask(url: str, form: dict[str, str], connector: Connector, recorder: Recorder) -> Tokens:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    answer = await fetch(HttpRequest("POST", url, headers, urlencode(form).encode()), connector, recorder)
    return _judge(answer.status, answer.body, recorder)


async def revoke(url: str, token: str, connector: Connector) -> bool:
    """Give a grant back (RFC 7009; FACTS A10). True where it is gone, also where it was before; never raises."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = HttpRequest("POST", url, headers, urlencode({"token": token}).encode())
    try:
        answer = await fetch(request, connector, Recorder(Leg.OAUTH, lambda: (token,)))
    except WireFault:
        return False
    return answer.status in (200, 400)


def _judge(status: int, body: bytes, recorder: Recorder) -> Tokens:
    answer = strange_json.read_object(body)
    token = answer.get("access_token")
    if status == 200 and isinstance(token, str) and token:
        refreshed, scope = answer.get("refresh_token"), answer.get("scope")
        return Tokens(
            access_token=token,
            refresh_token=refreshed if isinstance(refreshed, str) else "",
            expires_in_s=_seconds(answer.get("expires_in")),
            scope=scope if isinstance(scope, str) else "",
        )
    error = answer.get("error")
    words = body.decode("utf-8", "replace")
    numbers = _AADSTS.findall(words)[:1]
    # Without an OAuth error the HTTP status is the only structure there is; a proxy's page is no refusal.
    code = " ".join([error, *numbers]) if isinstance(error, str) else f"HTTP {status}"
    fresh = [value for key, value in answer.items() if key.endswith("token") and isinstance(value, str)]
    raise recorder.fault(code, mask(words, fresh))  # half an answer may hold what nobody knows yet


def _seconds(value: object) -> int:
    """A lifetime in seconds; providers send a number or a string. Short where it is missing."""
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else 300
