"""Who may do which deed: one table, asked by the admin and by the customers' pages (SPEC S5, S8, A5); and the groups of
staff, made of the same permissions (A7)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Deed(StrEnum):
    """What a person does to an object of a workspace."""

    SEE_MAILBOX = "see a mailbox"
    CHECK_MAILBOX = "check a mailbox"
    HOLD_MAILBOX = "pause or resume a mailbox"
    RECONNECT_MAILBOX = "reconnect a mailbox"
    CONNECT_MAILBOX = "connect a new mailbox"
    REMOVE_MAILBOX = "remove a mailbox"
    SEE_CAMPAIGN = "see a campaign"
    WRITE_CAMPAIGN = "write, start or pause a campaign"
    IMPORT_LEADS = "import leads into a campaign"
    DECIDE_LEAD = "decide about a held lead"
    JOIN_POOL = "put a mailbox into a pool"
    LEAVE_POOL = "take a mailbox out of its pool"
    MANAGE_MEMBERS = "invite and change members"


# What a member of staff needs to act on a workspace that is not theirs. A deed without a permission is not for staff.
STAFF: dict[Deed, str] = {
    Deed.SEE_MAILBOX: "mailboxes.reconnect_mailbox",
    Deed.CHECK_MAILBOX: "mailboxes.check_mailbox",
    Deed.HOLD_MAILBOX: "mailboxes.hold_mailbox",
    Deed.RECONNECT_MAILBOX: "mailboxes.reconnect_mailbox",
    Deed.CONNECT_MAILBOX: "mailboxes.add_mailbox",
    Deed.REMOVE_MAILBOX: "mailboxes.remove_mailbox",
    Deed.SEE_CAMPAIGN: "campaigns.view_campaign",
    Deed.WRITE_CAMPAIGN: "campaigns.change_campaign",
    Deed.IMPORT_LEADS: "campaigns.add_lead",
    Deed.DECIDE_LEAD: "campaigns.change_lead",
    Deed.JOIN_POOL: "warmup.add_poolmember",
    Deed.LEAVE_POOL: "warmup.change_poolmember",
}
# What support looks at. Nothing here shows a stored secret: those are in no page, whatever the permission.
_SEES = (
    "mailboxes.view_mailbox", "mailboxes.view_workspace", "mailboxes.view_membership", "mailboxes.view_statuschange",
    "mailboxes.view_staffalarm", "mailboxes.view_incident", "mailboxes.view_inmessage", "mailboxes.view_outmessage",
    "mailboxes.view_unreadmessage",
    "campaigns.view_campaign", "campaigns.view_step", "campaigns.view_lead", "campaigns.view_suppression",
    "warmup.view_pool", "warmup.view_poolmember", "warmup.view_exchange",
)  # fmt: skip
# What a lead decides besides: incidents and alarms, what nobody knows of a message, and what is taken from files.
_DECIDES = (
    "mailboxes.view_auditentry", "mailboxes.add_mailbox", "mailboxes.remove_mailbox",
    "mailboxes.change_incident", "mailboxes.change_staffalarm", "mailboxes.change_outmessage",
    "campaigns.change_campaign", "campaigns.add_lead", "campaigns.change_lead",
    "warmup.add_poolmember", "warmup.change_poolmember",
)  # fmt: skip
_SUPPORT = frozenset(
    {*_SEES, *(STAFF[deed] for deed in (Deed.CHECK_MAILBOX, Deed.HOLD_MAILBOX, Deed.RECONNECT_MAILBOX))}
)
# A change here needs a migration that calls `groups.add_groups` again.
GROUPS: dict[str, frozenset[str]] = {"Support": _SUPPORT, "Support lead": _SUPPORT | set(_DECIDES)}
OWNERS_ONLY = frozenset({Deed.MANAGE_MEMBERS})
# Pausing a mailbox is support's; a customer takes it out of their campaigns.
STAFF_ONLY = frozenset({Deed.HOLD_MAILBOX})


def may(deed: Deed, *, role: str | None, has_permission: Callable[[str], bool]) -> bool:
    """Return whether a person may do it: by their role in the object's workspace, or, without a role there, as staff.

    `role` is "owner", "member" or None; `has_permission` says what the person may as staff: False for all others.
    """
    if role is None:
        return deed in STAFF and has_permission(STAFF[deed])
    return deed not in STAFF_ONLY and (role == "owner" or deed not in OWNERS_ONLY)
