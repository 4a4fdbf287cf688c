"""The page of the customer's administrator (SPEC R8): a signed link for one mailbox and one cause, for a week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core import signing
from django.db import transaction

from mailboxes.diagnosis.categories import MATRIX, Actor, Category
from mailboxes.health import asked
from mailboxes.limits import take
from mailboxes.models import AuditEntry, Mailbox
from mailboxes.reconnect.limits import CHECKS_BY_ADMINISTRATOR
from mailboxes.states import Status

VALID_FOR = timedelta(days=7)
_SALT = "postmend.administrator"


class BadLink(Exception):
    """The link is no link of ours, or its week is over. `expired` tells the two apart."""

    def __init__(self, *, expired: bool) -> None:
        super().__init__("expired" if expired else "not ours")
        self.expired = expired


@dataclass(frozen=True, slots=True)
class Shown:
    """What the link is about."""

    mailbox: Mailbox
    category: Category

    @property
    def works(self) -> bool:
        """True where the mailbox is connected."""
        return self.mailbox.status == Status.CONNECTED

    @property
    def is_done(self) -> bool:
        """True where this cause is gone, and the mailbox is checked, or waits for something else."""
        return not self.works and self.mailbox.category != self.category


def is_for_administrators(mailbox: Mailbox) -> bool:
    """True for a cause that an administrator mends, with the credential as it is."""
    if not mailbox.category or mailbox.removed_at is not None:
        return False
    return mailbox.actor == Actor.ADMINISTRATOR or MATRIX[Category(mailbox.category)].cured_elsewhere


def token_for(mailbox: Mailbox) -> str:
    """The signed part of the address. It names the workspace too: in another one the link is over (SEC-13)."""
    return signing.dumps([mailbox.pk, mailbox.category, mailbox.workspace_id], salt=_SALT)


def read(token: str) -> Shown:
    """The mailbox and cause of a link. Raises BadLink."""
    try:
        key, category, *workspace = signing.loads(token, salt=_SALT, max_age=VALID_FOR)
    except signing.SignatureExpired:
        raise BadLink(expired=True) from None
    except signing.BadSignature:
        raise BadLink(expired=False) from None
    mailbox = Mailbox.objects.present().filter(pk=key, workspace_id__in=workspace).first()
    if mailbox is None or category not in set(Category):  # a cause may be renamed within the week
        raise BadLink(expired=True)
    return Shown(mailbox, Category(category))


@transaction.atomic
def check_again(shown: Shown, now: datetime) -> None:
    """Ask for a check without a login. Raises Limited."""
    take(CHECKS_BY_ADMINISTRATOR, str(shown.mailbox.pk), now, "of this mailbox")
    AuditEntry.objects.create(action="check asked by the administrator", mailbox=shown.mailbox, at=now)
    asked.ask([shown.mailbox.pk], acting_user=None, now=now)
