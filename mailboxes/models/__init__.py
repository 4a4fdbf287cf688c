"""The tables of the mailboxes app."""

from mailboxes.models.checks import AskedCheck, CheckDay, CheckState
from mailboxes.models.credential import Credential, OAuthClient
from mailboxes.models.domain import MailDomain
from mailboxes.models.history import AuditEntry, Failure, Heartbeat, StaffAlarm, StatusChange
from mailboxes.models.mailbox import STATUS_LABELS, Mailbox
from mailboxes.models.workspace import Membership, Workspace

__all__ = [
    "STATUS_LABELS",
    "AskedCheck",
    "AuditEntry",
    "CheckDay",
    "CheckState",
    "Credential",
    "Failure",
    "Heartbeat",
    "MailDomain",
    "Mailbox",
    "Membership",
    "OAuthClient",
    "StaffAlarm",
    "StatusChange",
    "Workspace",
]
