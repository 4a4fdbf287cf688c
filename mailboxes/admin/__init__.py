"""Where support staff live. Reads the tables and asks health; sets no status."""

from mailboxes.admin import accounts, audit, history, inbox, incidents, mail_panel, mailbox, outbox, queue, workspace

__all__ = [
    "accounts",
    "audit",
    "history",
    "inbox",
    "incidents",
    "mail_panel",
    "mailbox",
    "outbox",
    "queue",
    "workspace",
]
