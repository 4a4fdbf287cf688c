"""Clients that we did not write talk to the sandbox: it speaks the protocols, and not just our dialect."""

from __future__ import annotations

import asyncio
import socket
from email.message import EmailMessage

import aiosmtplib
import imapclient
import pytest

from mailboxes.sandbox.faults import faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.values import Security
from tests.make import make_account, secret


def message(sender: str) -> EmailMessage:
    made = EmailMessage()
    made["From"] = made["To"] = sender
    made["Subject"] = "hello"
    made["Message-ID"] = "<oracle@example.test>"
    made.set_content("hello\n.dot\n")
    return made


def smtp_client(sandbox: Sandbox, port: int) -> aiosmtplib.SMTP:
    context = sandbox.authority.trusting()
    context.check_hostname = False  # the account's name resolves in the sandbox alone
    return aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=True, tls_context=context)


def test_aiosmtplib_sends_and_imapclient_finds(sandbox: Sandbox) -> None:
    account = make_account(sandbox)
    assert account.smtp and account.imap
    smtp_port, imap_port = account.smtp.port, account.imap.port

    async def send() -> None:
        async with smtp_client(sandbox, smtp_port) as client:
            await client.login(account.address, account.password)
            await client.send_message(message(account.address))

    asyncio.run(send())
    context = sandbox.authority.trusting()
    context.check_hostname = False
    with imapclient.IMAPClient("127.0.0.1", port=imap_port, ssl_context=context) as client:
        client.login(account.address, account.password)
        client.select_folder("INBOX")
        assert len(client.search(["HEADER", "Message-ID", "<oracle@example.test>"])) == 1
    assert b"\r\n.dot" in account.folders["INBOX"][0].raw


def test_both_log_in_by_xoauth2_with_a_living_token_alone(sandbox: Sandbox) -> None:
    account = make_account(sandbox)
    account.access_tokens.add(token := secret())
    assert account.smtp and account.imap
    smtp_port, imap_port = account.smtp.port, account.imap.port

    async def log_in(given: str) -> None:
        async with smtp_client(sandbox, smtp_port) as client:
            await client.auth_xoauth2(account.address, given)

    def read(given: str) -> None:
        context = sandbox.authority.trusting()
        context.check_hostname = False
        client = imapclient.IMAPClient("127.0.0.1", port=imap_port, ssl_context=context)
        try:
            client.oauth2_login(account.address, given)
        finally:
            client.shutdown()

    asyncio.run(log_in(token))
    read(token)
    with pytest.raises(aiosmtplib.SMTPAuthenticationError):
        asyncio.run(log_in(secret()))
    with pytest.raises(imapclient.exceptions.LoginError):
        read(secret())


def test_aiosmtplib_upgrades_by_starttls(sandbox: Sandbox) -> None:
    account = make_account(sandbox, security=Security.STARTTLS)
    assert account.smtp is not None
    port, context = account.smtp.port, sandbox.authority.trusting()
    context.check_hostname = False

    async def send() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=True, tls_context=context) as client:
            await client.login(account.address, account.password)
            await client.send_message(message(account.address))

    asyncio.run(send())
    assert len(account.folders["INBOX"]) == 1


def test_both_see_a_wrong_password(sandbox: Sandbox) -> None:
    account = make_account(sandbox, faults()["wrong-password"])
    assert account.smtp and account.imap
    smtp_port = account.smtp.port

    async def log_in() -> None:
        async with smtp_client(sandbox, smtp_port) as client:
            await client.auth_plain(account.address, account.password)

    with pytest.raises(aiosmtplib.SMTPAuthenticationError, match=r"5\.7\.8"):
        asyncio.run(log_in())
    context = sandbox.authority.trusting()
    context.check_hostname = False
    client = imapclient.IMAPClient("127.0.0.1", port=account.imap.port, ssl_context=context)
    with pytest.raises(imapclient.exceptions.LoginError, match="AUTHENTICATIONFAILED"):
        client.login(account.address, account.password)
    client.shutdown()


def test_a_refused_port_listens_again_when_the_fault_is_gone(sandbox: Sandbox) -> None:
    account = make_account(sandbox, faults()["refused"])
    assert account.smtp is not None
    port = account.smtp.port

    async def connect() -> None:
        async with smtp_client(sandbox, port):
            pass

    with pytest.raises(aiosmtplib.SMTPConnectError):
        asyncio.run(connect())
    sandbox.set_fault(account.address, faults()["wrong-password"])
    asyncio.run(connect())


def test_a_refused_port_is_kept_from_others(sandbox: Sandbox) -> None:
    account = make_account(sandbox, faults()["refused"])
    assert account.smtp is not None
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", account.smtp.port))
