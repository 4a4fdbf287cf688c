"""One HTTPS request through the same connector as mail: token endpoints, autoconfig. No redirects, bounded answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

from mailboxes.wire.channel import Channel
from mailboxes.wire.connector import Connector, local_fault
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.values import Endpoint, Security, Stage, WireFault

BODY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is asked. `body` empty for a GET."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came: status, headers in lower case, body of at most BODY_BYTES."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


async def fetch(request: HttpRequest, connector: Connector, recorder: Recorder) -> HttpAnswer:
    """Send one request and read its answer within the connector's limits. Raises WireFault."""
    try:
        async with asyncio.timeout(connector.limits.total_s):
            return await _fetch(request, connector, recorder)
    except TimeoutError as error:
        raise recorder.fault(*local_fault(error, "the answer")) from None


async def _fetch(request: HttpRequest, connector: Connector, recorder: Recorder) -> HttpAnswer:
    parts = urlsplit(request.url)
    if parts.scheme != "https":
        raise WireFault(Stage.CONNECT, "NOT_HTTPS", "only https:// addresses are asked")
    channel = await connector.open(Endpoint(parts.hostname or "", parts.port or 443, Security.SSL), recorder)
    try:
        recorder.enter(Stage.TOKEN)
        return await _exchange(channel, request, parts.netloc.rpartition("@")[2], _target(request.url))
    except OSError as error:
        raise recorder.fault(*local_fault(error, "the server's answer")) from None
    except h11.ProtocolError as error:
        raise recorder.fault("NOT_HTTP", str(error)) from None
    finally:
        channel.close()


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


async def _exchange(channel: Channel, request: HttpRequest, host: str, target: str) -> HttpAnswer:
    http = h11.Connection(h11.CLIENT)
    headers = {"Host": host, "Connection": "close", **request.headers}
    if request.body:
        headers["Content-Length"] = str(len(request.body))
    head = h11.Request(method=request.method, target=target, headers=list(headers.items()))
    parts = [head, *([h11.Data(request.body)] if request.body else []), h11.EndOfMessage()]
    channel.write(b"".join(http.send(part) or b"" for part in parts))
    status, received, answered = 0, bytearray(), dict[str, str]()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await channel.read())
        elif isinstance(event, h11.Response):
            status = event.status_code
            answered = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            received += event.data
            if len(received) > BODY_BYTES:
                raise h11.RemoteProtocolError("the answer is too long")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return HttpAnswer(status, answered, bytes(received))
