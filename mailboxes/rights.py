"""Who may do which deed: one table, asked by the admin and by the customers' pages (SPEC S5, S8, A5)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Deed(StrEnum):
    """What a person does to an object of a workspace."""

    SEE_MAILBOX = "see a mailbox"
    CHECK_MAILBOX = "check a mailbox"
    HOLD_MAILBOX = "pause or resume a mailbox"
    RECONNECT_MAILBOX = "connect a mailbox, or reconnect it"
    REMOVE_MAILBOX = "remove a mailbox"
    SEE_CAMPAIGN = "see a campaign"
    WRITE_CAMPAIGN = "write, start or pause a campaign"
    IMPORT_LEADS = "import leads into a campaign"
    DECIDE_LEAD = "decide about a held lead"
    CHANGE_POOL = "put a mailbox into a pool, or take it out"
    MANAGE_MEMBERS = "invite and change members"


# What a member of staff needs to act on a workspace that is not theirs. A deed without a permission is not for staff.
STAFF: dict[Deed, str] = {
    Deed.SEE_MAILBOX: "mailboxes.reconnect_mailbox",
    Deed.CHECK_MAILBOX: "mailboxes.check_mailbox",
    Deed.HOLD_MAILBOX: "mailboxes.hold_mailbox",
    Deed.RECONNECT_MAILBOX: "mailboxes.reconnect_mailbox",
    Deed.REMOVE_MAILBOX: "mailboxes.remove_mailbox",
    Deed.SEE_CAMPAIGN: "campaigns.view_campaign",
    Deed.WRITE_CAMPAIGN: "campaigns.change_campaign",
    Deed.IMPORT_LEADS: "campaigns.add_lead",
    Deed.DECIDE_LEAD: "campaigns.change_lead",
    Deed.CHANGE_POOL: "warmup.change_poolmember",
}
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
