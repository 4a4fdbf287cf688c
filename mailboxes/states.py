"""The words of a mailbox's state, shared by the pure policy and the models (SPEC, "Words"; H3). No Django."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """A mailbox's health alone."""

    UNVERIFIED = "unverified"
    CONNECTED = "connected"
    SUSPECT = "suspect"
    NEEDS_REAUTH = "needs_reauth"
    ERROR = "error"


class PauseReason(StrEnum):
    """Why health stopped the mailbox. Any of them asks for a reconnect (H3)."""

    NONE = ""
    AUTH_FAILURE = "auth_failure"
    AUTH_ERRORS = "auth_errors"
    TENANT_SMTP_DISABLED = "tenant_smtp_disabled"
    PROVIDER_BLOCK = "provider_block"
    HOSTINGER_REAUTH_REQUIRED = "hostinger_reauth_required"
    MAILBOX_DISCONNECTED = "mailbox_disconnected"


class CredentialKind(StrEnum):
    """What a mailbox logs in with."""

    PASSWORD = "password"
    OAUTH = "oauth"


class Verdict(StrEnum):
    """What a test of new credentials came to (C6)."""

    OPEN = ""
    PASSED = "passed"
    REFUSED = "refused"  # a refusal or a settings fault: never stored
    UNSURE = "unsure"  # the test cannot tell: stored where the person says so


class Source(StrEnum):
    """Where evidence comes from (H2); a new credential or setting is no evidence, and starts health over."""

    CHECK = "check"
    ASKED = "asked"
    SAVE_TEST = "save_test"
    CAMPAIGN_SEND = "campaign_send"
    WARMUP_SEND = "warmup_send"
    INBOX_READ = "inbox_read"
    TOKEN_REFRESH = "token_refresh"
    EXTERNAL_SYNC = "external_sync"
    NEW_CREDENTIAL = "new_credential"
    INCIDENT = "incident"  # no evidence of its own: an incident began or ended


RECONNECT_REASONS = tuple(reason for reason in PauseReason if reason)


def needs_reconnect(status: Status, *, auth_failure_open: bool, pause_reason: PauseReason) -> bool:
    """H3, the one rule behind filter, badge and banner.

    The database evaluates the same rule in `Mailbox.needs_reconnect`; a test holds the two together.
    """
    return (
        status is Status.NEEDS_REAUTH
        or (status is Status.ERROR and auth_failure_open)
        or pause_reason in RECONNECT_REASONS
    )
