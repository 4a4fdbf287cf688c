"""The sandbox's HTTP: one request a connection, handed to a function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import h11


@dataclass(frozen=True)
class Asked:
    """One request. Of a value given twice the first counts."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    ticked: list[str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Answered:
    """One answer."""

    status: int
    body: str
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class HttpServer:
    """Serves with `respond`. It keeps nothing."""

    def __init__(self, respond: Callable[[Asked], Answered]) -> None:
        self._respond = respond

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        http, body, head = h11.Connection(h11.SERVER), b"", None
        while not isinstance(event := http.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
        if head is not None:
            writer.write(_encoded(http, self._respond(_asked(head, body.decode()))))
            await writer.drain()
        writer.close()


def _asked(head: h11.Request, body: str) -> Asked:
    parts = urlsplit(head.target.decode())
    form = parse_qs(body, keep_blank_values=True)
    return Asked(
        method=head.method.decode(),
        path=parts.path,
        query={key: values[0] for key, values in parse_qs(parts.query).items()},
        form={key: values[0] for key, values in form.items()},
        ticked=form.get("ticked", []),
        headers={name.decode(): value.decode() for name, value in head.headers},
    )


def _encoded(http: h11.Connection, answer: Answered) -> bytes:
    data = answer.body.encode()
    headers = {"Content-Type": answer.kind, "Content-Length": str(len(data)), "Connection": "close", **answer.headers}
    parts = (h11.Response(status_code=answer.status, headers=list(headers.items())), h11.Data(data), h11.EndOfMessage())
    return b"".join(http.send(part) or b"" for part in parts)
