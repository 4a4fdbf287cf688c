"""The 26 categories and the matrix of SPEC D1: where each leads, who must act, whether it passes by itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """The cause of a failure."""

    AUTH_FAILED = "auth_failed"
    APP_PASSWORD_REQUIRED = "app_password_required"
    OAUTH_REVOKED = "oauth_revoked"
    OAUTH_SCOPE_MISSING = "oauth_scope_missing"
    OAUTH_INTERACTION_REQUIRED = "oauth_interaction_required"
    OAUTH_CLIENT_MISCONFIGURED = "oauth_client_misconfigured"
    TENANT_SMTP_DISABLED = "tenant_smtp_disabled"
    BASIC_AUTH_DISABLED = "basic_auth_disabled"
    IMAP_DISABLED = "imap_disabled"
    PROVIDER_BLOCK = "provider_block"
    SENDING_LIMIT = "sending_limit"
    RATE_LIMITED = "rate_limited"
    TEMPORARY = "temporary"
    DNS_FAILURE = "dns_failure"
    CONNECTION_REFUSED = "connection_refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS_CERTIFICATE = "tls_certificate"
    TLS_MISMATCH = "tls_mismatch"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    AUTH_UNSUPPORTED = "auth_unsupported"
    FOLDER_MISSING = "folder_missing"
    FOLDER_DENIED = "folder_denied"
    RECIPIENT_REJECTED = "recipient_rejected"
    CONTENT_REJECTED = "content_rejected"
    UNKNOWN = "unknown"


class Actor(StrEnum):
    """Who must act."""

    CUSTOMER = "customer"
    ADMINISTRATOR = "administrator"
    PROVIDER = "provider"
    OPERATOR = "operator"
    NOBODY = "nobody"


class Course(StrEnum):
    """How evidence of a category moves a leg (SPEC D1, column "status it leads to")."""

    REFUSAL = "refusal"  # suspect at once, needs_reauth when it is certain (H4)
    PASSING = "passing"  # suspect at the second in a row, then error; reconnect asked for after a day
    SETTINGS = "settings"  # suspect, then "Check settings"
    UNSURE = "unsure"  # suspect; needs_reauth only after the logins of H6
    RESTING = "resting"  # status unchanged; the mailbox rests
    THROTTLED = "throttled"  # status unchanged; no login for a while
    IGNORED = "ignored"  # status unchanged
    OURS = "ours"  # status unchanged; staff are told


@dataclass(frozen=True, slots=True)
class Traits:
    """One row of the matrix."""

    course: Course
    actor: Actor
    needs_reconnect: bool = False
    transient: bool = False
    cured_elsewhere: bool = False  # with the same secret: H4's exemptions


_WAIT = Traits(Course.PASSING, Actor.NOBODY, transient=True)
_SETTING = Traits(Course.SETTINGS, Actor.CUSTOMER)
_REFUSED = Traits(Course.REFUSAL, Actor.CUSTOMER, needs_reconnect=True)

MATRIX: dict[Category, Traits] = {
    Category.AUTH_FAILED: _REFUSED,
    Category.APP_PASSWORD_REQUIRED: _REFUSED,
    Category.BASIC_AUTH_DISABLED: _REFUSED,
    Category.OAUTH_REVOKED: _REFUSED,
    Category.OAUTH_SCOPE_MISSING: _REFUSED,
    Category.OAUTH_INTERACTION_REQUIRED: _REFUSED,
    Category.IMAP_DISABLED: Traits(Course.REFUSAL, Actor.CUSTOMER, needs_reconnect=True, cured_elsewhere=True),
    Category.TENANT_SMTP_DISABLED: Traits(
        Course.REFUSAL, Actor.ADMINISTRATOR, needs_reconnect=True, cured_elsewhere=True
    ),
    Category.PROVIDER_BLOCK: Traits(Course.REFUSAL, Actor.CUSTOMER, needs_reconnect=True, cured_elsewhere=True),
    Category.OAUTH_CLIENT_MISCONFIGURED: Traits(Course.OURS, Actor.OPERATOR),
    Category.SENDING_LIMIT: Traits(Course.RESTING, Actor.NOBODY, transient=True),
    Category.RATE_LIMITED: Traits(Course.THROTTLED, Actor.NOBODY, transient=True),
    Category.TEMPORARY: _WAIT,
    Category.TIMEOUT: _WAIT,
    Category.UNREACHABLE: _WAIT,
    Category.CONNECTION_REFUSED: _WAIT,
    Category.DNS_FAILURE: Traits(Course.SETTINGS, Actor.CUSTOMER),
    Category.TLS_CERTIFICATE: _SETTING,
    Category.TLS_MISMATCH: _SETTING,
    Category.PROTOCOL_MISMATCH: _SETTING,
    Category.AUTH_UNSUPPORTED: _SETTING,
    Category.FOLDER_MISSING: _SETTING,
    Category.FOLDER_DENIED: _SETTING,
    Category.RECIPIENT_REJECTED: Traits(Course.IGNORED, Actor.NOBODY),
    Category.CONTENT_REJECTED: Traits(Course.IGNORED, Actor.NOBODY),
    Category.UNKNOWN: Traits(Course.UNSURE, Actor.OPERATOR),
}
