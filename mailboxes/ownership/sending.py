"""Send the codes that wait: by the operator's own mail, never through the mailbox's servers (SPEC C10)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q, QuerySet

from mailboxes.health.outgoing import Outgoing
from mailboxes.models import AddressConfirmation
from mailboxes.outbox.operator import letters
from mailboxes.ownership import mail
from mailboxes.ownership.codes import hash_code, new_code
from mailboxes.wire.clean import BadText, clean
from mailboxes.wire.letters import Fate
from mailboxes.wire.mx import deliver, is_final

logger = logging.getLogger(__name__)
LASTS = timedelta(hours=24)
LEASE = timedelta(minutes=3)
# Greylisting wants a while; whoever hears nothing after the last asks again on the page.
AGAIN_AFTER = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=6))
RELAY, DIRECT = "relay", "direct"


@dataclass(frozen=True, slots=True)
class _Sent:
    """How one mail went: `error` empty where it was taken; `final` where trying again would bring the same."""

    error: str = ""
    final: bool = False


def waiting(now: datetime) -> QuerySet[AddressConfirmation]:
    """Confirmations whose code is to be sent, and that no worker has leased."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    return AddressConfirmation.objects.filter(free, send_at__lte=now)


def send_due(limit: int, outgoing: Outgoing) -> list[int]:
    """Send up to `limit` codes, the longest overdue first. Return the mailboxes to whose address one has gone."""
    prepared = [_prepare(row, outgoing.clock()) for row in _claim(limit, outgoing.clock())]
    if settings.CODE_MAIL == RELAY:
        results = [_by_relay(message, code) for _row, message, code in prepared]
    else:
        results = asyncio.run(_to_exchangers([(message, code) for _row, message, code in prepared], outgoing))
    for (row, _message, _code), result in zip(prepared, results, strict=True):
        _settle(row, result, outgoing.clock())
    return [row.mailbox_id for (row, *_), result in zip(prepared, results, strict=True) if not result.error]


@transaction.atomic
def _claim(limit: int, now: datetime) -> list[AddressConfirmation]:
    """Lease them. What nobody waits for any more (removed, or another address by now) is let go."""
    due = waiting(now).select_for_update(skip_locked=True, of=("self",)).order_by("send_at").select_related("mailbox")
    rows = list(due.select_related("mailbox__workspace")[:limit])
    wanted = [row for row in rows if row.mailbox.removed_at is None and row.mailbox.address == row.address]
    AddressConfirmation.objects.filter(pk__in=[row.pk for row in rows if row not in wanted]).update(send_at=None)
    AddressConfirmation.objects.filter(pk__in=[row.pk for row in wanted]).update(
        claimed_until=now + LEASE, tries=F("tries") + 1
    )
    return wanted


def _prepare(row: AddressConfirmation, now: datetime) -> tuple[AddressConfirmation, EmailMessage, str]:
    """A new code for each mail: nobody knows one that was made before."""
    code, token = new_code(), mail.new_token()
    values = {"code_hash": hash_code(row.pk, code), "token": token, "expires_at": now + LASTS, "attempts": 0}
    AddressConfirmation.objects.filter(pk=row.pk).update(**values)
    return row, mail.message(row.address, row.mailbox.workspace.name, code, token), code


def _by_relay(message: EmailMessage, code: str) -> _Sent:
    try:
        message.send()
    except BadText as bad:
        return _Sent(clean(str(bad), (code,)), final=True)
    except (SMTPException, OSError) as error:  # its text may hold the code
        return _Sent(f"The relay did not take it ({type(error).__name__}).")
    return _Sent()


async def _to_exchangers(mails: Sequence[tuple[EmailMessage, str]], outgoing: Outgoing) -> list[_Sent]:
    """Side by side: a server that hangs costs one deadline, whatever the number."""
    return await asyncio.gather(*(_to_exchanger(message, code, outgoing) for message, code in mails))


async def _to_exchanger(message: EmailMessage, code: str, outgoing: Outgoing) -> _Sent:
    try:
        (letter,) = letters(message)
    except BadText as bad:
        return _Sent(clean(str(bad), (code,)), final=True)
    assert outgoing.exchangers is not None
    found = await deliver(letter, code, outgoing.exchangers, outgoing.exchanger_port)
    if found.fate in (Fate.SENT, Fate.UNKNOWN):  # whoever did not get it asks again
        return _Sent()
    step = found.report.failed
    return _Sent(found.unfit or (step.text if step else "") or "The mail server did not take it.", is_final(found))


def _settle(row: AddressConfirmation, result: _Sent, now: datetime) -> None:
    """Nothing is written over a code that was asked for, or a confirmation that came, meanwhile."""
    mine = AddressConfirmation.objects.filter(pk=row.pk, confirmed_at__isnull=True, send_at=row.send_at)
    if not result.error:
        mine.update(send_at=None, claimed_until=None, sent_at=now, send_error="")
        return
    logger.error("the code of mailbox %s was not sent (try %s)", row.mailbox_id, row.tries + 1)
    is_over = result.final or row.tries >= len(AGAIN_AFTER)
    mine.update(
        send_at=None if is_over else now + AGAIN_AFTER[row.tries],
        claimed_until=None,
        send_error=result.error,
        code_hash="",
        token="",
        expires_at=None,
    )
