"""A person at the provider's consent page, over real HTTP; what the browser does, without one."""

from __future__ import annotations

import http.client
import re
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.test import Client

from mailboxes.models import Mailbox
from mailboxes.sandbox.account import Account


def begin(client: Client, provider: str, mailbox: Mailbox, **values: Any) -> str:
    """Press the button; the provider's address."""
    response = client.post(f"/oauth/{provider}/start/", {"mailbox": mailbox.pk} | values)
    assert response.status_code == 302, response.status_code
    return str(response["Location"])


def decide(url: str, account: Account | str, decision: str = "allow", leave_out: str = "") -> str:
    """Sign in, tick, decide; the path and query that the provider sends the browser back to."""
    page = _ask("GET", url)[1]
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
    ticked = re.findall(r'name="ticked" value="([^"]+)" checked', page)
    form = [(name, unescape(value)) for name, value in fields.items()]
    form += [("ticked", scope) for scope in ticked if not leave_out or leave_out not in scope]
    form += [("account", account if isinstance(account, str) else account.sign_in), ("decision", decision)]
    parts = urlsplit(url)
    back, _ = _ask("POST", f"{parts.scheme}://{parts.netloc}{parts.path}", urlencode(form))
    found = urlsplit(back)
    return f"{found.path}?{found.query}"


def consent(client: Client, provider: str, mailbox: Mailbox, account: Account | str, **how: Any) -> Any:
    """The whole way; the answer to the browser's return."""
    values = {name: how.pop(name) for name in ("sign_in_as",) if name in how}
    return client.get(decide(begin(client, provider, mailbox, **values), account, **how))


def _ask(method: str, url: str, body: str = "") -> tuple[str, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    connection.request(method, f"{parts.path}?{parts.query}", body or None, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status in (200, 302), text
    return answer.getheader("Location") or "", text
