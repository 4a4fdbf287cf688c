"""Begin the confirmation of an address: when, and how often (SPEC C10, S4). Codes go out by the worker."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from mailboxes.limits import Counted, Limited, Rate, take_all
from mailboxes.models import AddressConfirmation, AuditEntry, Mailbox

DAY = timedelta(days=1)
WHAT = "codes"
# Nobody fills a stranger's inbox: not by one mailbox, not by many, and not by a workspace that tries a whole domain.
CODES_OF_MAILBOX = Rate("codes of a mailbox", 5, DAY, WHAT)
CODES_TO_ADDRESS = Rate("codes to an address", 5, DAY, WHAT)
CODES_OF_WORKSPACE_TO_DOMAIN = Rate("codes of a workspace to a domain", 100, DAY, WHAT)
CODES_OF_WORKSPACE = Rate("codes of a workspace", 1000, DAY, WHAT)


def start(mailbox: Mailbox, now: datetime) -> None:
    """Have a code sent to the mailbox's present address, unless it is confirmed or a code is under way. Above a limit
    it goes out later. Inside the caller's transaction."""
    row, _is_new = AddressConfirmation.objects.get_or_create(mailbox=mailbox, address=mailbox.address)
    has_code = row.send_at is not None or (row.expires_at is not None and row.expires_at > now)
    if row.confirmed_at is not None or has_code:
        return
    try:
        take_all(_counted(mailbox), now)
    except Limited as limited:
        _queue(row.pk, limited.until)
    else:
        _queue(row.pk, now)


@transaction.atomic
def send_again(mailbox: Mailbox, *, acting_user: AbstractBaseUser, now: datetime) -> None:
    """Have a new code sent because a person asks for it; the one before ends when it goes out. Raises Limited."""
    row, _is_new = AddressConfirmation.objects.get_or_create(mailbox=mailbox, address=mailbox.address)
    if row.confirmed_at is not None or (row.send_at is not None and row.send_at <= now):
        return
    take_all(_counted(mailbox), now)
    _queue(row.pk, now)
    AuditEntry.objects.create(actor_id=acting_user.pk, action="confirmation code asked", mailbox=mailbox, at=now)


def vouch(mailbox: Mailbox, by: str, now: datetime) -> None:
    """Confirm the present address by a provider's word ("google" or "microsoft") of whose login it is. Inside the
    caller's transaction."""
    row, _is_new = AddressConfirmation.objects.get_or_create(mailbox=mailbox, address=mailbox.address)
    confirm(row, AddressConfirmation.By(by), now)


def confirm(
    row: AddressConfirmation, by: AddressConfirmation.By, now: datetime, acting_user: AbstractBaseUser | None = None
) -> bool:
    """Confirm it with the code that the row was loaded with; False where it was confirmed, or the code replaced,
    meanwhile. The code is used up."""
    same = AddressConfirmation.objects.filter(pk=row.pk, code_hash=row.code_hash, confirmed_at__isnull=True)
    used_up = {"code_hash": "", "token": "", "expires_at": None, "send_at": None, "send_error": ""}
    if not same.update(confirmed_at=now, confirmed_by=by, **used_up):
        return False
    AuditEntry.objects.create(
        actor_id=acting_user.pk if acting_user else None,
        action="address confirmed",
        mailbox_id=row.mailbox_id,
        detail=f"{row.address[:150]}: {by.label}",
        at=now,
    )
    return True


def _queue(row_id: int, at: datetime) -> None:
    values = {"send_at": at, "tries": 0, "claimed_until": None, "send_error": ""}
    AddressConfirmation.objects.filter(pk=row_id, confirmed_at__isnull=True).update(**values)


def _counted(mailbox: Mailbox) -> list[Counted]:
    address, workspace = mailbox.address.lower(), mailbox.workspace_id
    return [
        (CODES_OF_MAILBOX, str(mailbox.pk)),
        (CODES_TO_ADDRESS, address),
        (CODES_OF_WORKSPACE_TO_DOMAIN, f"{workspace}/{address.rpartition('@')[2]}"),
        (CODES_OF_WORKSPACE, str(workspace)),
    ]
