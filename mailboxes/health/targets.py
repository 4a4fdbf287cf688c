"""Mailboxes with their secrets, decrypted for one batch in one query, on the way to `wire` and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.db.models import QuerySet

from mailboxes.health import alarms
from mailboxes.models import CheckState, Credential
from mailboxes.models import OAuthClient as Registered
from mailboxes.models.destination import Astray, is_given_for
from mailboxes.states import CredentialKind
from mailboxes.wire.tokens import OAuthClient
from mailboxes.wire.values import Endpoint, Leg, LegTarget, Letter, Login, SecretKind, Security, Target

UNREADABLE_AGAIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a refresh needs."""

    client: OAuthClient
    refresh_token: str = field(repr=False)
    access_token: str = field(repr=False)
    access_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subject:
    """One mailbox to be checked. `grant` is None for a password."""

    mailbox_id: int
    address: str
    credential_version: int
    smtp: Endpoint | None
    imap: Endpoint | None
    smtp_username: str
    imap_username: str
    folder: str
    password: str = field(repr=False)
    imap_password: str = field(repr=False)
    grant: Grant | None = None
    imap_also: Endpoint | None = None  # not part of this work, but where the same password can be tried
    provider: str = ""
    one_refusal_is_enough: bool = False  # IMAP refused already: it is asked again only where SMTP accepts

    @property
    def one_login(self) -> bool:
        """Return whether both mail legs log in with the same secret under the same user name."""
        names = {self.smtp_username or self.address, self.imap_username or self.address}
        return not self.imap_password and len(names) == 1

    @property
    def host(self) -> str:
        """The host that the check loads."""
        place = self.smtp or self.imap
        return place.host if place else ""

    def target(self, access_token: str = "", message: Letter | None = None) -> Target:
        """What `wire` checks: with the access token where there is a grant, else with the passwords."""
        return Target(
            smtp=self._leg(self.smtp, self.smtp_username, access_token, self.password),
            imap=self._leg(self.imap, self.imap_username, access_token, self.imap_password or self.password),
            folder=self.folder,
            message=message if self.smtp else None,
            one_refusal_is_enough=self.one_refusal_is_enough,
        )

    def _leg(self, place: Endpoint | None, username: str, access_token: str, password: str) -> LegTarget | None:
        if place is None:
            return None
        if self.grant is None:
            return LegTarget(place, Login(username or self.address, password))
        hosts = self.grant.client.mail_hosts
        return LegTarget(place, Login(username or self.address, access_token, SecretKind.ACCESS_TOKEN, hosts))


def load(mailbox_ids: Iterable[int], now: datetime) -> list[Subject]:
    """The subjects. A mailbox without a credential is left out and not due again; one whose credential no key opens
    is left out and due again later: the key may come back."""
    ids = list(mailbox_ids)
    rows = Credential.objects.filter(mailbox_id__in=ids).select_related("mailbox", "oauth_client")
    try:
        found = list(rows)
    except InvalidToken:  # one unreadable row must not stop the batch
        found = _one_by_one(rows, ids)
    _put_off(set(ids) - {credential.mailbox_id for credential in found}, now)
    found = _without_astray(found, now)
    given = [credential for credential in found if _may_leave(credential)]
    # Not due until the secret is given anew: it goes only where it was given for.
    elsewhere = {credential.mailbox_id for credential in found} - {credential.mailbox_id for credential in given}
    if elsewhere:
        CheckState.objects.filter(mailbox_id__in=elsewhere).update(next_check_at=None)
    return [_subject(credential) for credential in given]


def _may_leave(credential: Credential) -> bool:
    """S7: the one place where stored secrets leave for the wire, and where their destination is compared."""
    token_url = credential.oauth_client.token_url if credential.oauth_client is not None else ""
    return is_given_for(credential.destination, vars(credential.mailbox), token_url)


def _without_astray(found: list[Credential], now: datetime) -> list[Credential]:
    """Leave out whose OAuth client is astray: our fault and not theirs, so they are due again later."""
    fine, astray = [], dict[int, Registered]()
    for credential in found:
        if credential.oauth_client is not None and credential.oauth_client.is_astray:
            astray[credential.mailbox_id] = credential.oauth_client
        else:
            fine.append(credential)
    CheckState.objects.filter(mailbox_id__in=astray).update(next_check_at=now + UNREADABLE_AGAIN)
    for name in {client.name for client in astray.values()}:
        tell_of_astray(name, now)
    return fine


def tell_of_astray(name: str, now: datetime) -> None:
    """Tell staff that this OAuth client's addresses were changed without its secret."""
    alarms.open_alarm(alarms.OAUTH_CLIENT, name, str(Astray(name)), 1, now)


def _put_off(left_out: set[int], now: datetime) -> None:
    if not left_out:
        return
    locked = set(Credential.objects.filter(mailbox_id__in=left_out).values_list("mailbox_id", flat=True))
    CheckState.objects.filter(mailbox_id__in=left_out - locked).update(next_check_at=None)
    CheckState.objects.filter(mailbox_id__in=locked).update(next_check_at=now + UNREADABLE_AGAIN)
    if locked:
        text = f"No key opens the credential of mailbox {min(locked)} and {len(locked) - 1} more: see FERNET_KEYS."
        alarms.open_alarm(alarms.UNREADABLE, "FERNET_KEYS", text, len(locked), now)


def _one_by_one(rows: QuerySet[Credential], ids: list[int]) -> list[Credential]:
    found = []
    for mailbox_id in ids:
        try:
            found += list(rows.filter(mailbox_id=mailbox_id))
        except InvalidToken:
            continue
    return found


def endpoint(place: Mapping[str, Any], leg: Leg) -> Endpoint | None:
    """Where a leg connects to, by settings named as on Mailbox; None for a leg that is not wanted."""
    host, port, security = (place.get(f"{leg.value}_{part}") for part in ("host", "port", "security"))
    if not place.get(f"wants_{leg.value}"):
        return None
    return Endpoint(str(host), int(port or 0), Security(str(security)))


def _subject(credential: Credential) -> Subject:
    mailbox = credential.mailbox
    place = vars(mailbox)
    return Subject(
        mailbox_id=mailbox.pk,
        address=mailbox.address,
        credential_version=credential.version,
        smtp=endpoint(place, Leg.SMTP),
        imap=endpoint(place, Leg.IMAP),
        smtp_username=mailbox.smtp_username,
        imap_username=mailbox.imap_username,
        folder=mailbox.imap_folder,
        provider=mailbox.provider,
        password=credential.password or "",
        imap_password=credential.imap_password or "",
        grant=_grant(credential),
    )


def wire_client(ours: Registered) -> OAuthClient:
    """Our registration as `wire` takes it. Raises Astray where its secret was not given for its addresses (S7)."""
    if ours.is_astray:
        raise Astray(ours.name)
    return replace(without_secret(ours), client_secret=ours.client_secret or "")


def without_secret(ours: Registered) -> OAuthClient:
    """Our registration for logins with an access token alone: its secret is not even decrypted."""
    scopes, hosts = tuple(ours.scopes.split()), tuple(ours.mail_hosts.split())
    return OAuthClient(ours.token_url, ours.client_id, "", scopes, hosts)


def _grant(credential: Credential) -> Grant | None:
    ours = credential.oauth_client
    if credential.kind != CredentialKind.OAUTH or ours is None:
        return None
    return Grant(
        client=wire_client(ours),
        refresh_token=credential.refresh_token or "",
        access_token=credential.access_token or "",
        access_expires_at=credential.access_expires_at,
    )
