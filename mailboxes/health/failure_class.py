"""Failures that are alike for an incident: one kind of fault, whatever its exact words (SPEC H9). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mailboxes.diagnosis.categories import Category
from mailboxes.wire.values import Leg


class FailureClass(StrEnum):
    """What mailboxes of one provider have in common when they fail alike."""

    LOGIN = "login"  # the login is refused, or nobody can read why not
    POLICY = "policy"  # the reply names a cause that is not the secret
    BLOCK = "block"
    NETWORK = "network"  # refused, unreachable, silent, or "try again later"
    CERTIFICATE = "certificate"
    NAME = "name"


_CLASSES = {
    Category.AUTH_FAILED: FailureClass.LOGIN,
    Category.OAUTH_REVOKED: FailureClass.LOGIN,
    Category.UNKNOWN: FailureClass.LOGIN,
    Category.APP_PASSWORD_REQUIRED: FailureClass.POLICY,
    Category.BASIC_AUTH_DISABLED: FailureClass.POLICY,
    Category.OAUTH_SCOPE_MISSING: FailureClass.POLICY,
    Category.OAUTH_INTERACTION_REQUIRED: FailureClass.POLICY,
    Category.TENANT_SMTP_DISABLED: FailureClass.POLICY,
    Category.IMAP_DISABLED: FailureClass.POLICY,
    Category.AUTH_UNSUPPORTED: FailureClass.POLICY,
    Category.PROVIDER_BLOCK: FailureClass.BLOCK,
    Category.TEMPORARY: FailureClass.NETWORK,
    Category.TIMEOUT: FailureClass.NETWORK,
    Category.UNREACHABLE: FailureClass.NETWORK,
    Category.CONNECTION_REFUSED: FailureClass.NETWORK,
    Category.TLS_CERTIFICATE: FailureClass.CERTIFICATE,
    Category.TLS_MISMATCH: FailureClass.CERTIFICATE,
    Category.PROTOCOL_MISMATCH: FailureClass.CERTIFICATE,
    Category.DNS_FAILURE: FailureClass.NAME,
}


def class_of(category: Category | None, stage: str) -> FailureClass | None:
    """Return the class of a category; None for one that says nothing of the provider.

    What nobody can read before the login is a fault of the way there.
    """
    if category is Category.UNKNOWN and stage not in ("auth", "token"):
        return FailureClass.NETWORK
    return _CLASSES.get(category) if category is not None else None


@dataclass(frozen=True, slots=True)
class Hold:
    """An incident, as a mailbox of its key sees it: no move into error or needs_reauth for this leg and class.

    It explains failures that began at `since` or later. A held mailbox is tried again every `recheck_every`, or
    by its usual rounds for None. Where the fault is `ours`, no mailbox moves at all.
    """

    leg: Leg
    failure_class: FailureClass
    since: datetime
    recheck_every: timedelta | None
    ours: bool = False


def categories_of(failure_class: FailureClass) -> list[str]:
    """Return the categories of a class, as stored."""
    return [category.value for category, one in _CLASSES.items() if one is failure_class]
