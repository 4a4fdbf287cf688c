"""Small makers: workspaces, mailboxes, credentials, evidence."""

from __future__ import annotations

import itertools
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from mailboxes.health.evidence import Evidence
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.record import record
from mailboxes.models import AddressConfirmation, CheckState, InboxState, Mailbox, Membership, OAuthClient, Workspace
from mailboxes.reconnect.credentials import NewGrant, Password, replace
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.faults import NO_FAULT, Fault
from mailboxes.sandbox.server import CLIENT, Sandbox
from mailboxes.states import Source
from mailboxes.wire.runner import Bounds
from mailboxes.wire.tls import opportunistic_client
from mailboxes.wire.values import Leg, Limits, Security, Stage, Step
from tests.secrets import MARK

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FAST = Limits(dns_s=3.0, connect_s=3.0, command_s=2.0, total_s=8.0)
_numbers = itertools.count(1)


class Clock:
    """Stands still until moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> datetime:
        """Move on by timedelta's arguments; the new time."""
        self.now += timedelta(**by)
        return self.now


def secret() -> str:
    """A password that the search for secrets recognises."""
    return f"{MARK}-{secrets.token_hex(6)}"


def make_workspace() -> Workspace:
    return Workspace.objects.create(name=f"Workspace {next(_numbers)}")


def confirm(*mailboxes: Mailbox, at: datetime = START) -> None:
    """Their addresses are their own (C10)."""
    AddressConfirmation.objects.bulk_create(
        AddressConfirmation(mailbox=one, address=one.address, confirmed_at=at, confirmed_by="arrived")
        for one in mailboxes
    )


def make_mailbox(**values: Any) -> Mailbox:
    """A mailbox with a password and no server behind it, due now; its address is confirmed, but with
    `confirmed=False`."""
    confirmed = values.pop("confirmed", True)
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "address": f"box{number}@example.test",
        "smtp_host": "smtp.example.test",
        "imap_host": "imap.example.test",
    }
    values = defaults | values
    values.setdefault("workspace", None)
    values["workspace"] = values["workspace"] or make_workspace()
    mailbox = Mailbox.objects.create(**values)
    if confirmed:
        confirm(mailbox)
    replace(mailbox, Password(secret()), acting_user=None, now=START)
    return Mailbox.objects.get(pk=mailbox.pk)


def caught_up(mailbox: Mailbox, at: datetime = START) -> None:
    """All of its inbox was read at this moment."""
    InboxState.objects.filter(mailbox=mailbox).update(complete_at=at)


def make_account(
    sandbox: Sandbox, fault: Fault = NO_FAULT, security: Security | None = None, *, machine: str = ""
) -> Account:
    """An account in the sandbox."""
    wanted = security or (Security.STARTTLS if "starttls" in fault.needs else Security.SSL)
    account = sandbox.add(f"box{next(_numbers)}@sandbox{next(_numbers)}.test", secret(), wanted, fault, machine=machine)
    account.refresh_token = secret()
    return account


def make_sandbox_mailbox(sandbox: Sandbox, fault: Fault = NO_FAULT, **values: Any) -> tuple[Mailbox, Account]:
    """A mailbox on a real account of the sandbox."""
    account = make_account(sandbox, fault, machine=values.pop("machine", ""))
    assert account.smtp and account.imap
    mailbox = make_mailbox(
        address=account.address,
        provider=values.pop("provider", fault.provider),
        smtp_host=account.smtp.host, smtp_port=account.smtp.port, smtp_security=account.smtp.security,
        imap_host=account.imap.host, imap_port=account.imap.port, imap_security=account.imap.security,
        **values,
    )  # fmt: skip
    new: Password | NewGrant = Password(account.password)
    if "oauth" in fault.needs:
        new = NewGrant(make_oauth_client(sandbox), account.refresh_token, "mail")
    replace(mailbox, new, acting_user=None, now=START)
    return Mailbox.objects.get(pk=mailbox.pk), account


def make_oauth_client(sandbox: Sandbox) -> OAuthClient:
    values = {"token_url": sandbox.token_url, "client_id": CLIENT[0], "client_secret": CLIENT[1]}
    return OAuthClient.objects.register("sandbox", values)


def register(sandbox: Sandbox, flavour: str) -> OAuthClient:
    """Our registration at the sandbox's provider, in Google's or Microsoft's manner."""
    values = sandbox.registration(flavour) | {"scopes": ""}
    return OAuthClient.objects.register(flavour, values)


def make_member(workspace: Workspace, role: str = "member") -> User:
    """A customer with a place in the workspace."""
    user = User.objects.create_user(f"member{next(_numbers)}@customer.test", password="signs-in-with-this")
    Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


def place_of(account: Account) -> dict[str, Any]:
    """An account's servers as settings."""
    assert account.smtp and account.imap
    return {
        "wants_smtp": True, "smtp_host": account.smtp.host, "smtp_port": account.smtp.port,
        "smtp_security": account.smtp.security.value, "smtp_username": account.address,
        "wants_imap": True, "imap_host": account.imap.host, "imap_port": account.imap.port,
        "imap_security": account.imap.security.value, "imap_username": account.address,
        "imap_folder": "INBOX", "provider": "",
    }  # fmt: skip


def make_outgoing(sandbox: Sandbox, clock: Clock) -> Outgoing:
    connector = sandbox.connector(FAST)
    return Outgoing(
        mail=connector,
        tokens=connector,
        bounds=Bounds(),
        clock=clock,
        exchangers=sandbox.connector(FAST, tls=opportunistic_client()),
        exchanger_port=sandbox.exchanger_port,
    )


def evidence(
    mailbox: Mailbox,
    leg: Leg = Leg.SMTP,
    failure: tuple[Stage, str, str] | None = None,
    *,
    at: datetime = START,
    begun: datetime | None = None,
    version: int | None = None,
    source: Source = Source.CHECK,
    recipients: int = 0,
    took_ms: int = 0,
) -> Evidence:
    """One observation; `failure` is stage, code and words."""
    return Evidence(
        mailbox_id=mailbox.pk,
        leg=leg,
        source=source,
        credential_version=mailbox.credential.version if version is None else version,
        begun_at=begun or at,
        observed_at=at,
        failure=Step(failure[0], False, 5, failure[1], failure[2]) if failure else None,
        recipients=recipients,
        took_ms=took_ms,
    )


def state_of(mailbox: Mailbox) -> CheckState:
    return CheckState.objects.get(mailbox=mailbox)


REFUSED = (Stage.AUTH, "535 5.7.8", "535 5.7.8 Error: authentication failed")
IMAP_REFUSED = (Stage.AUTH, "NO AUTHENTICATIONFAILED", "A1 NO [AUTHENTICATIONFAILED] Authentication failed.")
TIMED_OUT = (Stage.CONNECT, "ETIMEDOUT", "the connection timed out")
BAD_CERTIFICATE = (Stage.TLS, "CERTIFICATE_VERIFY_FAILED", "certificate verify failed: certificate has expired")
TENANT_OFF = (Stage.AUTH, "535 5.7.139", "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.")
UNREADABLE = (Stage.AUTH, "599", "599 Qx-17 zilch")
DAILY_LIMIT = (Stage.DATA, "550 5.4.5", "550 5.4.5 Daily user sending limit exceeded.")
BAD_CLIENT = (Stage.TOKEN, "invalid_client AADSTS7000222", '{"error":"invalid_client"} AADSTS7000222')

# H4: a bare refusal of a secret that has worked is certain at its third login, ten minutes after the first.
CERTAIN_AFTER = (timedelta(0), timedelta(seconds=75), timedelta(minutes=10, seconds=15))


def refuse(
    mailbox: Mailbox, failure: tuple[Stage, str, str] = REFUSED, leg: Leg = Leg.SMTP, *, at: datetime = START
) -> datetime:
    """Record as many refusals as make it certain, the first one at `at`; returns when the last one was."""
    for after in CERTAIN_AFTER:
        record([evidence(mailbox, leg, failure, at=at + after)], now=at + after)
    return at + CERTAIN_AFTER[-1]
