"""Why a consent was not taken, each with its own page. Nothing is stored for any of them (SPEC R2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from social_core.exceptions import (
    AuthCanceled,
    AuthConfigurationError,
    AuthInputError,
    AuthSessionError,
    SocialAuthBaseException,
)


class Why(StrEnum):
    """The kinds, each a section of `refusals.toml`."""

    OTHER_IDENTITY = "other_identity"
    SCOPE_MISSING = "scope_missing"
    NO_REFRESH_TOKEN = "no_refresh_token"  # a name
    ADMIN_CONSENT = "admin_consent"
    CANCELLED = "cancelled"
    STATE = "state"
    PROVIDER = "provider"
    OURS = "ours"


@dataclass
class Refused(Exception):
    """The consent was not taken. The words fill the page: both addresses, or the permission."""

    why: Why
    signed_in_as: str = ""
    expected: str = ""
    permission: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return self.why.value


# The customer's administrator must consent (FACTS, AADSTS table; A9): no click of the customer helps.
_ADMINISTRATOR = ("AADSTS90094", "AADSTS90095", "AADSTS650052", "admin_policy_enforced", "org_internal")


def of(error: SocialAuthBaseException) -> Refused:
    """What social-auth's fault means for the customer. The provider's words go no further than its error code."""
    words = f"{error.provider_code or ''} {error.detail}"
    code = str(error.provider_code or error.code)[:60]
    if any(mark in words for mark in _ADMINISTRATOR):
        return Refused(Why.ADMIN_CONSENT, detail=next(mark for mark in _ADMINISTRATOR if mark in words))
    if isinstance(error, AuthCanceled):
        return Refused(Why.CANCELLED)
    if isinstance(error, AuthSessionError | AuthInputError) or error.code == "authorization_code_rejected":
        return Refused(Why.STATE)
    if isinstance(error, AuthConfigurationError):
        return Refused(Why.OURS, detail=code)
    return Refused(Why.PROVIDER, detail=code)
