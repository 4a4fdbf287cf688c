"""How many refused logins a mail host may see from us in ten minutes, over all customers (SPEC X6). Pure.

Hosts ban an address that fails too often (fail2ban: five in ten minutes), and a ban would break every mailbox there.
So a login that may be refused takes a place beforehand, and keeps it for ten minutes where it was refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=10)
# Of a host that we know nothing of; bans begin at five.
UNKNOWN_HOST = 3
# A provider with presets counts by account and not by our address: this bounds a runaway of ours alone.
KNOWN_PROVIDER = 5000
# A worker that died gives its places back by then.
PLACE_KEPT = timedelta(minutes=3)


def budget_key(host: str) -> str:
    """Return what a host's budget is shared by: smtp.example.com and imap.example.com are often one machine."""
    labels = host.lower().rstrip(".").split(".")
    return ".".join(labels[1:]) if len(labels) > 2 else ".".join(labels)


def limit_for(provider: str) -> int:
    """Return how many refused logins a provider's host may see."""
    return KNOWN_PROVIDER if provider else UNKNOWN_HOST


@dataclass
class HostAccount:
    """The refused logins of late, and the places that logins under way have taken, by mailbox."""

    refused: list[datetime] = field(default_factory=list)
    taken: dict[int, tuple[int, datetime]] = field(default_factory=dict)

    def room(self, limit: int, now: datetime) -> int:
        """Return how many logins may still be refused."""
        lately = sum(at > now - WINDOW for at in self.refused)
        under_way = sum(places for places, until in self.taken.values() if until > now)
        return limit - lately - under_way

    def take(self, mailbox_id: int, logins: int, limit: int, now: datetime) -> bool:
        """Take places for so many logins of a mailbox; returns whether there was room."""
        if self.room(limit, now) < logins:
            return False
        self.taken[mailbox_id] = (logins, now + PLACE_KEPT)
        return True

    def settle(self, mailbox_id: int, refused: int, now: datetime) -> None:
        """Give the mailbox's places back, and keep those that were refused for ten minutes."""
        self.taken.pop(mailbox_id, None)
        self.refused = [at for at in self.refused if at > now - WINDOW] + [now] * refused

    def packed(self) -> dict[str, object]:
        """Return the columns' values."""
        taken = {str(key): [places, until.isoformat()] for key, (places, until) in self.taken.items()}
        return {"refused": [at.isoformat() for at in self.refused], "taken": taken}


def unpack_account(refused: list[str], taken: Mapping[str, list[object]]) -> HostAccount:
    """Return an account from its columns."""
    return HostAccount(
        [datetime.fromisoformat(at) for at in refused],
        {int(key): (int(str(row[0])), datetime.fromisoformat(str(row[1]))) for key, row in taken.items()},
    )
