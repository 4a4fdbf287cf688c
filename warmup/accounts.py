"""Whether two mailboxes are one account, also under other spellings or in other workspaces. Pure."""

from __future__ import annotations

from mailboxes.models import Mailbox

# Google reads past dots in its own domains' names, and takes both domains for one.
_WITHOUT_DOTS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}


def canonical(address: str) -> str:
    """The address as its server knows it: in lower case, its domain in ASCII (IDNA), without a "+tag" (RFC 5233)."""
    name, _, domain = address.strip().lower().rpartition("@")
    domain = _ascii(domain)
    name = name.partition("+")[0] or name
    if domain in _WITHOUT_DOTS:
        return f"{name.replace('.', '')}@{_WITHOUT_DOTS[domain]}"
    return f"{name}@{domain}"


def _ascii(domain: str) -> str:
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain


def is_same(one: Mailbox, other: Mailbox) -> bool:
    """True where mail from one to the other would stay in one account: the same address, or the same login."""
    if one.pk == other.pk or canonical(one.address) == canonical(other.address):
        return True
    return bool(one.imap_host) and _login(one) == _login(other)


def _login(mailbox: Mailbox) -> tuple[str, int, str]:
    return mailbox.imap_host.lower(), mailbox.imap_port, canonical(mailbox.imap_username or mailbox.address)
