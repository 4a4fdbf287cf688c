"""What the tests of the customers' pages share."""

from __future__ import annotations

from typing import Any

from django.test import Client

from mailboxes.health.record import record
from mailboxes.models import Mailbox, Workspace
from mailboxes.wire.values import Leg
from tests.make import IMAP_REFUSED, REFUSED, START, evidence, make_mailbox, make_member


def customer(workspace: Workspace) -> Client:
    client = Client()
    client.force_login(make_member(workspace))
    return client


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def broken(workspace: Workspace | None = None, **values: Any) -> Mailbox:
    mailbox = make_mailbox(workspace=workspace, **values)
    record([evidence(mailbox, Leg.SMTP, REFUSED), evidence(mailbox, Leg.IMAP, IMAP_REFUSED)], now=START)
    return Mailbox.objects.get(pk=mailbox.pk)
