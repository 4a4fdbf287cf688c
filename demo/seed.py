"""The population into the database and the sandbox. Safe to do again: what is there stays as it is."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.contrib.auth.models import Group, User
from django.db import models, transaction

from demo import letters
from demo.population import DOMAINS, WORKSPACES, Resident, residents
from mailboxes.models import Credential, Mailbox, Membership, OAuthClient, Workspace
from mailboxes.models.destination import destination_of
from mailboxes.ownership.asking import start as start_confirmation
from mailboxes.providers.presets import family
from mailboxes.reconnect.credentials import NewGrant, Password, replace
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.oauth_provider import FLAVOURS
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import CredentialKind

USER = "support"
LEAD = "lead"
# Whoever logs in with it has a new password at the sandbox: 16 letters, as Google shows them in four groups.
NEW_PASSWORD = "mendmendmendmend"


class ForeignData(Exception):
    """The database holds mailboxes that are not the demo's."""


def populate(sandbox: Sandbox, now: datetime) -> None:
    """Open every account in the sandbox and see that its mailbox exists and points to it. Raises ForeignData."""
    everybody = residents()
    ours = {one.address for one in everybody}
    if Mailbox.objects.exclude(address__in=ours).exists():
        raise ForeignData("This database holds other mailboxes: give the demo one of its own (POSTMEND_DATA_DIR).")
    clients = {flavour: _client(sandbox, flavour) for flavour in FLAVOURS}
    with transaction.atomic():
        workspaces = {name: Workspace.objects.get_or_create(name=name)[0] for name in WORKSPACES}
        for one in everybody:
            client = clients.get(family(one.provider), clients["google"])
            _move_in(one, workspaces[one.workspace], client, sandbox, now)
        letters.put_to_work(workspaces.values(), sandbox, now)


def make_staff() -> dict[str, str]:
    """The demo's member of staff and their lead, each in their group, with fresh passwords: name to password."""
    return {name: _staff(name, group) for name, group in ((USER, "Support"), (LEAD, "Support lead"))}


def _staff(name: str, group: str) -> str:
    password = secrets.token_urlsafe(9)
    user, _ = User.objects.get_or_create(username=name, defaults={"email": f"{name}@postmend.test"})
    user.is_staff, user.is_superuser = True, False
    user.set_password(password)
    user.save(update_fields=["password", "is_staff", "is_superuser"])
    user.groups.set([Group.objects.get(name=group)])
    return password


def make_customers() -> dict[str, str]:
    """An owner for each workspace, with a fresh password: address to password."""
    passwords = {}
    for name, domain in zip(WORKSPACES, DOMAINS, strict=True):
        address, password = f"owner@{domain}", secrets.token_urlsafe(9)
        user, _ = User.objects.get_or_create(username=address, defaults={"email": address})
        user.set_password(password)
        user.save(update_fields=["password"])
        place = {"workspace": Workspace.objects.get(name=name), "user": user}
        Membership.objects.get_or_create(**place, defaults={"role": Membership.Role.OWNER})
        passwords[address] = password
    return passwords


def _client(sandbox: Sandbox, flavour: str) -> OAuthClient:
    return OAuthClient.objects.register(flavour, sandbox.registration(flavour))


def _move_in(one: Resident, workspace: Workspace, client: OAuthClient, sandbox: Sandbox, now: datetime) -> None:
    known = Credential.objects.filter(mailbox__address=one.address).first()
    password = known.password if known and known.password else secrets.token_urlsafe(16)
    account = sandbox.add(one.address, password, one.security, one.fault)
    account.mends = NEW_PASSWORD
    letters.remember(account, now)
    if known is not None:
        _remember(account, known)
        _settings(Mailbox.objects.filter(address=one.address), account)
        _give_again(known, client)
        return
    mailbox = Mailbox.objects.create(
        workspace=workspace, address=one.address, provider=one.provider, tenant=one.address.rpartition("@")[2]
    )
    _settings(Mailbox.objects.filter(pk=mailbox.pk), account)
    replace(mailbox, _secret(one, client, account), acting_user=None, now=now)
    start_confirmation(mailbox, now)


def _secret(one: Resident, client: OAuthClient, account: Account) -> Password | NewGrant:
    if one.oauth:
        return NewGrant(client, account.refresh_token, "mail")
    # Two secrets are judged apart: what SMTP accepts says nothing of the other one (X3).
    return Password(account.password, secrets.token_urlsafe(16) if "two-secrets" in one.fault.needs else "")


def _remember(account: Account, known: Credential) -> None:
    if known.kind == CredentialKind.OAUTH:
        account.refresh_token = known.refresh_token or account.refresh_token
        account.access_tokens.add(known.access_token or "")


def _give_again(known: Credential, client: OAuthClient) -> None:
    """The token server has another port too: the grants are given for its new address, as the client's secret is."""
    token_url = client.token_url if known.kind == CredentialKind.OAUTH else ""
    place = vars(Mailbox.objects.get(pk=known.mailbox_id))
    Credential.objects.filter(pk=known.pk).update(destination=destination_of(place, token_url))


def _settings(rows: models.QuerySet[Mailbox], account: Account) -> None:
    """The sandbox's ports are others at each start; a change of port alone is no news for health."""
    assert account.smtp is not None and account.imap is not None
    rows.update(
        smtp_host=account.smtp.host, smtp_port=account.smtp.port, smtp_security=account.security,
        imap_host=account.imap.host, imap_port=account.imap.port, imap_security=account.security,
        smtp_username=account.address, imap_username=account.address,
    )  # fmt: skip
