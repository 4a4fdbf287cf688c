"""Refresh an OAuth grant at its token endpoint (RFC 6749 section 6), through the same connector as mail."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import h11

from mailboxes.wire.channel import Channel
from mailboxes.wire.connector import Connector, local_fault
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.values import Endpoint, Leg, Report, Security, Stage, WireFault

BODY_BYTES = 65_536
_AADSTS = re.compile(r"AADSTS\d+")


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Our registration at a provider."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()


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
    """Ask for a new access token. Never raises for the provider's or the network's fault."""
    recorder = Recorder(Leg.OAUTH, lambda: (refresh_token, client.client_secret))
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    form |= {"client_id": client.client_id, "client_secret": client.client_secret}
    if client.scopes:
        form["scope"] = " ".join(client.scopes)
    tokens = None
    try:
        async with asyncio.timeout(connector.limits.total_s):
            tokens = await _ask(client.token_url, form, connector, recorder)
        recorder.passed()
    except WireFault as fault:
        recorder.failed(fault)
    except TimeoutError as error:
        recorder.failed(recorder.fault(*local_fault(error, "the token request")))
    return Refreshed(recorder.report(), tokens)


async def _ask(url: str, form: dict[str, str], connector: Connector, recorder: Recorder) -> Tokens:
    parts = urlsplit(url)
    endpoint = Endpoint(parts.hostname or "", parts.port or 443, Security.SSL)
    channel = await connector.open(endpoint, recorder)
    try:
        recorder.enter(Stage.TOKEN)
        status, body = await _post(channel, parts.path or "/", parts.netloc, urlencode(form).encode())
    except OSError as error:
        raise recorder.fault(*local_fault(error, "the token endpoint's answer")) from None
    except h11.RemoteProtocolError as error:
        raise recorder.fault("NOT_HTTP", str(error)) from None
    finally:
        channel.close()
    return _judge(status, body, recorder)


async def _post(channel: Channel, path: str, host: str, body: bytes) -> tuple[int, bytes]:
    http = h11.Connection(h11.CLIENT)
    headers = [("Host", host), ("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
    headers += [("Content-Length", str(len(body))), ("Connection", "close")]
    request = http.send(h11.Request(method="POST", target=path, headers=headers)) or b""
    channel.write(request + (http.send(h11.Data(body)) or b"") + (http.send(h11.EndOfMessage()) or b""))
    status, received = 0, bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await channel.read())
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            received += event.data
            if len(received) > BODY_BYTES:
                raise h11.RemoteProtocolError("the answer is too long")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return status, bytes(received)


def _judge(status: int, body: bytes, recorder: Recorder) -> Tokens:
    answer = _json_object(body)
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
    raise recorder.fault(code, words)


def _json_object(body: bytes) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: object) -> int:
    """A lifetime in seconds; providers send a number or a string. Short where it is missing."""
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else 300
