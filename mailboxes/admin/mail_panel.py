"""The panel "Inbox and outbox" on the mailbox's page: how far it is read, and what waits to be sent (SPEC A4, X5)."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, Q
from django.utils import timezone

from mailboxes.admin.badges import list_url
from mailboxes.inbox.unread import count_noted
from mailboxes.models import InboxState, Mailbox, OutMessage
from mailboxes.models.mailbox import READ_LATELY
from mailboxes.panels import Panel, register
from mailboxes.states import Status
from mailboxes.wording import ago

State = OutMessage.State
_WAITING = (State.QUEUED, State.CLAIMED, State.ON_WIRE)


@register
def panel(mailbox: Mailbox) -> Panel:
    """Reading and sending, in three queries."""
    now = timezone.now()
    read_until = InboxState.objects.filter(mailbox=mailbox).values_list("complete_at", flat=True).first()
    waiting, unknown = _counts(mailbox)
    lines = [(_reading(mailbox, read_until, now), list_url("mailboxes_inmessage", mailbox__id__exact=mailbox.pk))]
    if noted := count_noted(mailbox.pk):
        words = _number(noted, "was", "were", "stepped over: the server did not give it. A mail program may show more")
        lines.append((words.replace("give it", "give them") if noted > 1 else words, _noted(mailbox)))
    if mailbox.wants_smtp:
        lines.append((_number(waiting, "waits", "wait", "to be sent"), _outbox(mailbox, State.QUEUED)))
    if unknown:
        words = _number(unknown, "was", "were", "handed over, and the server's yes never came")
        lines.append((words, _outbox(mailbox, State.UNKNOWN)))
    return Panel("Inbox and outbox", lines, "", _resumes(mailbox, read_until, waiting))


def moment(at: datetime) -> str:
    """A time as panels tell it."""
    return f"{at:%-d %b, %H:%M} UTC"


def _counts(mailbox: Mailbox) -> tuple[int, int]:
    """Messages that wait, without warm-up's (these are taken back), and unknown ones; each state by its own index."""
    rows = OutMessage.objects.filter(mailbox=mailbox, state__in=(*_WAITING, State.UNKNOWN)).order_by()
    counted = rows.aggregate(
        waiting=Count("id", filter=Q(state__in=_WAITING) & ~Q(purpose=OutMessage.Purpose.WARMUP)),
        unknown=Count("id", filter=Q(state=State.UNKNOWN)),
    )
    return counted["waiting"], counted["unknown"]


def _reading(mailbox: Mailbox, until: datetime | None, now: datetime) -> str:
    if not mailbox.wants_imap:
        return "It is set up to send only: nothing is read"
    if until is None:
        return "Not read yet"
    if mailbox.status != Status.CONNECTED or mailbox.held_since is not None:
        return (
            f"Read until {moment(until)}; nothing since, which is a gap of {ago(until, now).replace('now', 'seconds')}"
        )
    if until >= max(mailbox.status_since, now - READ_LATELY):
        return f"Everything was read, {ago(until, now)} ago".replace("now ago", "just now")
    return f"Read until {moment(until)}; what came after is being fetched"


def _number(amount: int, one: str, many: str, rest: str) -> str:
    if not amount:
        return f"No message {one} {rest}"
    return f"{amount} message{'' if amount == 1 else 's'} {one if amount == 1 else many} {rest}"


def _outbox(mailbox: Mailbox, state: str) -> str:
    return list_url("mailboxes_outmessage", mailbox__id__exact=mailbox.pk, state=str(state))


def _noted(mailbox: Mailbox) -> str:
    return list_url("mailboxes_unreadmessage", mailbox__id__exact=mailbox.pk)


def _resumes(mailbox: Mailbox, until: datetime | None, waiting: int) -> str:
    told = []
    if mailbox.wants_imap and until is not None:
        told.append(f"mail since {moment(until)} is read first")
    if waiting and mailbox.wants_smtp:
        told.append(f"{waiting} message{'' if waiting == 1 else 's'} go{'es' if waiting == 1 else ''} out")
    return ", ".join(told)
