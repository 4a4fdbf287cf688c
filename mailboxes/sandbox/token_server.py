"""The sandbox's token endpoint: refresh grants (RFC 6749 section 6), with switchable faults."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

import h11

from mailboxes.sandbox.account import Account

LIFETIME_S = 3600


class TokenServer:
    """One HTTPS server for all accounts; `client` is the id and secret that it accepts."""

    def __init__(self, accounts: Callable[[], Iterable[Account]], client: tuple[str, str]) -> None:
        self._accounts = accounts
        self._client = client

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        http, body = h11.Connection(h11.SERVER), b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Data):
                body += event.data
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        status, text = self._answer(form)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text))), ("Connection", "close")]
        parts = (h11.Response(status_code=status, headers=headers), h11.Data(text.encode()), h11.EndOfMessage())
        for part in parts:
            writer.write(http.send(part) or b"")
        await writer.drain()
        writer.close()

    def _answer(self, form: dict[str, str]) -> tuple[int, str]:
        if (form.get("client_id", ""), form.get("client_secret", "")) != self._client:
            return 401, json.dumps({"error": "invalid_client"})
        token = form.get("refresh_token", "")
        account = next((one for one in self._accounts() if one.refresh_token == token), None)
        if account is None:
            return 400, json.dumps({"error": "invalid_grant", "error_description": "Bad Request"})
        account.seen["refreshes"] += 1
        if account.fault.token is not None:
            return account.fault.token.status, account.fault.token.body
        access = secrets.token_urlsafe(32)
        account.access_tokens.add(access)
        answer = {"access_token": access, "expires_in": LIFETIME_S, "token_type": "Bearer", "scope": "mail"}
        return 200, json.dumps(answer)
