"""What each visit is to do: read from its cursors on, deeds that were asked for, and unknown messages to look up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.conf import settings

from mailboxes.inbox import unread
from mailboxes.models import FolderCursor, InboxState, InMessage, Mailbox, OutMessage
from mailboxes.outbox import unknown
from mailboxes.wire.visits import Cursor, Deed, DeedKind, Role, VisitPlan

MOST_DEEDS = 20
BEFORE_THE_GAP = timedelta(days=2)  # FACTS E14: servers know days, and not whose
DEEDS_FOR = timedelta(days=2)
PROBES_FOR = timedelta(days=1)
PLACES_FOR = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Plan:
    """A visit's plan, and the probe: a sent message by which is learned whether the provider files copies."""

    visit: VisitPlan
    probe: str = ""


@dataclass
class _Known:
    """What the database holds for the mailboxes of one batch, by mailbox."""

    cursors: defaultdict[int, list[FolderCursor]] = field(default_factory=lambda: defaultdict(list))
    deeds: defaultdict[int, list[Deed]] = field(default_factory=lambda: defaultdict(list))
    sought: Mapping[int, list[str]] = field(default_factory=dict)
    probes: Mapping[int, str] = field(default_factory=dict)
    obstacles: Mapping[tuple[int, str, int], unread.Obstacles] = field(default_factory=dict)


def plan_visits(mailbox_ids: Collection[int], now: datetime) -> dict[int, Plan]:
    """A plan for each mailbox, in a constant number of queries."""
    states = {state.mailbox_id: state for state in InboxState.objects.filter(mailbox_id__in=mailbox_ids)}
    known = _Known(
        sought=unknown.sought(mailbox_ids),
        probes=_probes(states.values(), now),
        obstacles=unread.load_obstacles(mailbox_ids),
    )
    for cursor in FolderCursor.objects.filter(mailbox_id__in=mailbox_ids):
        known.cursors[cursor.mailbox_id].append(cursor)
    for mailbox_id, deed in _deeds(mailbox_ids, now):
        known.deeds[mailbox_id].append(deed)
    mailboxes = Mailbox.objects.filter(id__in=states).values_list("id", "imap_folder", "created_at")
    return {key: _plan(states[key], folder, created_at, known, now) for key, folder, created_at in mailboxes}


def _plan(state: InboxState, folder: str, created_at: datetime, known: _Known, now: datetime) -> Plan:
    key = state.mailbox_id
    since = ((state.complete_at or created_at) - BEFORE_THE_GAP).date()
    oldest = since - timedelta(days=settings.READ_BACK_DAYS)
    probe = known.probes.get(key, "")
    visit = VisitPlan(
        inbox=folder,
        cursors=tuple(_cursor(row, since, oldest, known) for row in known.cursors[key]),
        since=since,
        oldest=oldest,
        deeds=tuple(known.deeds[key][:MOST_DEEDS]),
        sought=(*known.sought.get(key, ()), *([probe] if probe else [])),
        places=_places(state, folder, now),
    )
    return Plan(visit, probe)


def _cursor(row: FolderCursor, since: date, oldest: date, known: _Known) -> Cursor:
    met = known.obstacles.get((row.mailbox_id, row.folder, row.uidvalidity), unread.NO_OBSTACLES)
    return Cursor(
        Role(row.role), row.folder, row.uidvalidity, row.last_uid, since, oldest, met.passed_over, met.is_pending
    )


def _places(state: InboxState, folder: str, now: datetime) -> Mapping[Role, str] | None:
    """The folders' names as long as they are fresh, and the folder to read is the one that they were asked for."""
    if state.places_at is None or now - state.places_at > PLACES_FOR or state.places.get(Role.INBOX) != folder:
        return None
    return {Role(role): name for role, name in state.places.items() if role != Role.INBOX}


def _deeds(mailbox_ids: Collection[int], now: datetime) -> Iterable[tuple[int, Deed]]:
    """The latest first: what a server always refuses must not stand before them."""
    rows = InMessage.objects.filter(mailbox_id__in=mailbox_ids, stored_at__gte=now - DEEDS_FOR).exclude(deed="")
    rows = rows.order_by("-id")[: MOST_DEEDS * len(mailbox_ids)]
    for row in rows.only("id", "mailbox_id", "deed", "role", "message_id"):
        yield row.mailbox_id, Deed(row.pk, DeedKind(row.deed), Role(row.role), row.message_id)


def _probes(states: Iterable[InboxState], now: datetime) -> dict[int, str]:
    """For mailboxes of which it is not known yet: the last message that was sent a while ago."""
    ids = [state.mailbox_id for state in states if state.saves_sent is None]
    settled = now - unknown.FILED_WITHIN
    rows = OutMessage.objects.filter(
        mailbox_id__in=ids, state=OutMessage.State.SENT, sent_at__range=(settled - PROBES_FOR, settled)
    )
    return dict(rows.order_by("sent_at").values_list("mailbox_id", "message_id"))
