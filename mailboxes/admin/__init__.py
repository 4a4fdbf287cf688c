"""Where support staff live. Reads the tables and asks health; sets no status."""

from mailboxes.admin import accounts, history, mailbox, queue, workspace

__all__ = ["accounts", "history", "mailbox", "queue", "workspace"]
