"""A code has come: typed in by its owner, or read in the connected mailbox itself (SPEC C10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Q

from mailboxes.models import AddressConfirmation, Mailbox
from mailboxes.outbox import marks
from mailboxes.ownership.asking import confirm
from mailboxes.ownership.codes import find_codes, is_code

MOST_ATTEMPTS = 5
TOKEN_PREFIX = "<code."  # how a signed header names a code's mail, and no other


class Typed(StrEnum):
    """What became of a code that was typed in."""

    CONFIRMED = "confirmed"
    WRONG = "wrong"
    NONE = "none"  # no code is under way: expired, used up, or not sent yet
    TOO_MANY = "too many"


@transaction.atomic
def type_code(mailbox: Mailbox, code: str, *, acting_user: AbstractBaseUser, now: datetime) -> Typed:
    """Confirm the mailbox's present address by the code that its owner has typed. An attempt is counted before the code
    is looked at, so that many at once are no more than five."""
    rows = AddressConfirmation.objects.filter(mailbox=mailbox, address=mailbox.address)
    living = rows.filter(~Q(code_hash=""), expires_at__gt=now)
    if not living.filter(attempts__lt=MOST_ATTEMPTS).update(attempts=F("attempts") + 1):
        return Typed.TOO_MANY if living.exists() else Typed.NONE
    row = rows.get()
    if not is_code(row.pk, code, row.code_hash):
        return Typed.WRONG
    return Typed.CONFIRMED if confirm(row, AddressConfirmation.By.TYPED, now, acting_user) else Typed.NONE


@dataclass(frozen=True, slots=True)
class ReadMail:
    """One message that was read in a mailbox's Inbox or Junk: its signed header and its text."""

    mailbox_id: int
    mark: str
    text: str

    @property
    def key(self) -> tuple[int, str]:
        """The mailbox, and what the header names."""
        return self.mailbox_id, marks.named(self.mark)


def confirm_read(mails: Sequence[ReadMail], now: datetime) -> set[tuple[int, str]]:
    """Confirm each address whose code was read in its own mailbox, with our signature. Return the keys of these mails:
    they are used up, and nobody needs to see them. Inside the caller's transaction."""
    wanted = {mail.key: mail for mail in mails if mail.key[1].startswith(TOKEN_PREFIX)}
    if not wanted:
        return set()
    rows = AddressConfirmation.objects.filter(
        mailbox_id__in={key for key, _token in wanted},
        token__in={token for _key, token in wanted},
        expires_at__gt=now,
        address=F("mailbox__address"),
    )
    return {
        (row.mailbox_id, row.token)
        for row in rows
        if _is_proved(row, wanted.get((row.mailbox_id, row.token)))
        and confirm(row, AddressConfirmation.By.ARRIVED, now)
    }


def _is_proved(row: AddressConfirmation, mail: ReadMail | None) -> bool:
    if mail is None or not marks.is_ours(mail.mark, row.token, row.address):
        return False
    return any(is_code(row.pk, code, row.code_hash) for code in find_codes(mail.text))
