"""Clients that we did not write, connected and logged in to an account of the sandbox."""

from __future__ import annotations

import imaplib
import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import imapclient

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox


def letter(sender: str, recipient: str, message_id: str = "<one@example.test>", **headers: str) -> EmailMessage:
    """A small message; further headers by name, with _ for -."""
    made = EmailMessage()
    made["From"], made["To"], made["Message-ID"] = sender, recipient, message_id
    for name, value in ({"Subject": "hello"} | headers).items():
        made[name.replace("_", "-")] = value
    made.set_content("hello\n")
    return made


def raw(message_id: str = "<one@example.test>") -> bytes:
    """The same as bytes, from somebody to somebody."""
    return letter("a@example.test", "b@example.test", message_id).as_bytes()


@contextmanager
def imap(sandbox: Sandbox, account: Account, folder: str = "") -> Iterator[Any]:
    """IMAPClient, logged in, with the folder selected where one is named."""
    assert account.imap is not None
    context = sandbox.authority.trusting()
    context.check_hostname = False  # the account's name resolves in the sandbox alone
    client = imapclient.IMAPClient("127.0.0.1", port=account.imap.port, ssl_context=context)
    try:
        client.login(account.address, account.password)
        if folder:
            client.select_folder(folder)
        yield client
    finally:
        client.shutdown()


def uids(sandbox: Sandbox, account: Account, wanted: str, by_uid: bool = True) -> list[int]:
    """The UIDs that the standard library's client fetches from INBOX for a set of UIDs or sequence numbers."""
    assert account.imap is not None
    context = sandbox.authority.trusting()
    context.check_hostname = False
    with imaplib.IMAP4_SSL("127.0.0.1", account.imap.port, ssl_context=context) as client:
        client.login(account.address, account.password)
        client.select()
        _, told = client.uid("FETCH", wanted, "(UID)") if by_uid else client.fetch(wanted, "UID")
    return [int(re.sub(rb".*UID (\d+).*", rb"\1", line)) for line in told if isinstance(line, bytes)]


@contextmanager
def smtp(sandbox: Sandbox, account: Account) -> Iterator[smtplib.SMTP_SSL]:
    """smtplib's client, logged in."""
    assert account.smtp is not None
    context = sandbox.authority.trusting()
    context.check_hostname = False
    client = smtplib.SMTP_SSL("127.0.0.1", account.smtp.port, context=context, timeout=10)
    try:
        client.login(account.address, account.password)
        yield client
    finally:
        client.close()


def send(sandbox: Sandbox, account: Account, *recipients: str, message: EmailMessage | None = None) -> None:
    """Send one message by SMTP to these recipients of the envelope."""
    with smtp(sandbox, account) as client:
        client.send_message(message or letter(account.address, recipients[0]), account.address, recipients)
