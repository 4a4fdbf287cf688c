"""The tables of the mailboxes app."""

from mailboxes.models.account_mail import AccountMail
from mailboxes.models.checks import AskedCheck, CheckDay, CheckState
from mailboxes.models.confirmation import AddressConfirmation
from mailboxes.models.credential import Candidate, Credential, OAuthClient
from mailboxes.models.domain import MailDomain
from mailboxes.models.history import (
    AuditEntry,
    Failure,
    Heartbeat,
    ReconnectRequest,
    StaffAlarm,
    StatusChange,
    Version,
)
from mailboxes.models.inbox import FolderCursor, InboxState, InMessage, UnreadMessage
from mailboxes.models.incident import HostBudget, Incident, LoginCount, LoginSample
from mailboxes.models.mailbox import STATUS_LABELS, Mailbox
from mailboxes.models.outbox import OutMessage, Pace
from mailboxes.models.rate import RateLimit
from mailboxes.models.second_factor import CodeDevice, RecoveryCodes
from mailboxes.models.trial import Trial
from mailboxes.models.workspace import Invitation, Membership, Workspace

__all__ = [
    "STATUS_LABELS",
    "AccountMail",
    "AddressConfirmation",
    "AskedCheck",
    "AuditEntry",
    "Candidate",
    "CheckDay",
    "CheckState",
    "CodeDevice",
    "Credential",
    "Failure",
    "FolderCursor",
    "Heartbeat",
    "HostBudget",
    "InMessage",
    "InboxState",
    "Incident",
    "Invitation",
    "LoginCount",
    "LoginSample",
    "MailDomain",
    "Mailbox",
    "Membership",
    "OAuthClient",
    "OutMessage",
    "Pace",
    "RateLimit",
    "ReconnectRequest",
    "RecoveryCodes",
    "StaffAlarm",
    "StatusChange",
    "Trial",
    "UnreadMessage",
    "Version",
    "Workspace",
]
