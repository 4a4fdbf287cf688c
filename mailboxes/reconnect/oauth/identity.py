"""Whose consent is it, and may it be used for this mailbox? (SPEC R2; FACTS A43 to A45, D19) Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailboxes.reconnect.oauth.refusals import Refused, Why


class SignInAs(StrEnum):
    """How the person who consents stands to the mailbox."""

    OWNER = "owner"  # the mailbox is their own, under their own address
    ALIAS = "alias"  # another address of their own account
    SHARED = "shared"  # a shared mailbox that they have rights on


@dataclass(frozen=True, slots=True)
class Identity:
    """Who consented. `key` never changes; `sign_in` is the login name, `address` the mail address, in lower case."""

    key: str
    sign_in: str
    address: str


def of(provider: str, claims: Mapping[str, Any]) -> Identity:
    """The identity in Google's user info or Microsoft's ID token. Raises Refused where no stable key is in it."""
    if provider == "microsoft":
        parts = [claims.get("tid"), claims.get("oid")]
        sign_in = claims.get("preferred_username") or claims.get("upn") or claims.get("email") or ""
    else:
        parts, sign_in = [claims.get("sub")], claims.get("email") or ""
    if not all(isinstance(part, str) and part for part in parts):
        raise Refused(Why.PROVIDER, detail="no identity")
    address = str(claims.get("email") or sign_in).lower()
    return Identity(":".join(str(part) for part in parts)[:200], str(sign_in).lower()[:254], address[:254])


def vouched_address(provider: str, claims: Mapping[str, Any]) -> str:
    """Return the login address that the provider vouches for, in lower case; "" for none (SPEC C10).

    Google is an authority for gmail.com and for the Workspace domain in `hd` alone: another address was merely verified
    once. Microsoft's `xms_edov` says that the address's domain is verified; without it anybody sets `email`.
    """
    address = str(claims.get("email") or "").lower()
    domain = address.rpartition("@")[2]
    if provider == "google":
        hosted = str(claims.get("hd") or "").lower()
        is_vouched = _is_true(claims.get("email_verified")) and domain in ("gmail.com", "googlemail.com", hosted)
    else:
        login = str(claims.get("preferred_username") or claims.get("upn") or "").lower()
        is_vouched = _is_true(claims.get("xms_edov")) and address == login
    return address if is_vouched and domain else ""


def _is_true(claim: object) -> bool:
    return claim is True or claim == 1 or str(claim).lower() in ("true", "1")


def check(who: Identity, *, mailbox_address: str, pinned: str, pinned_name: str, sign_in_as: SignInAs) -> None:
    """Raise Refused for another identity than the pinned one; without a pin, than the mailbox's own address, unless the
    person said that it is an alias or a shared mailbox: then the test of the mailbox decides."""
    if pinned:
        if who.key != pinned:
            raise Refused(Why.OTHER_IDENTITY, signed_in_as=who.sign_in, expected=pinned_name or mailbox_address)
        return
    own = mailbox_address.lower() in (who.sign_in, who.address)
    if not own and sign_in_as is SignInAs.OWNER:
        raise Refused(Why.OTHER_IDENTITY, signed_in_as=who.sign_in, expected=mailbox_address)


def usernames(who: Identity, mailbox_address: str, sign_in_as: SignInAs) -> dict[str, str]:
    """The names to log in with: a shared mailbox is read under its own address and sent from as the person."""
    imap = mailbox_address if sign_in_as is SignInAs.SHARED else who.sign_in
    return {"smtp_username": who.sign_in, "imap_username": imap}
