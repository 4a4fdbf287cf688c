"""What an incident or a fault of our own means for a mailbox, in a sentence for its owner and support (H9, UX-3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from mailboxes import clock
from mailboxes.diagnosis.categories import Category
from mailboxes.health import alarms
from mailboxes.health.failure_class import class_of
from mailboxes.health.incidents import store
from mailboxes.health.incidents.values import EGRESS, RESOLVER
from mailboxes.health.legs import unpack
from mailboxes.health.policy import MAIL_LEGS
from mailboxes.health.snapshots import scope_of
from mailboxes.models import CheckState, Credential, Failure, Mailbox, StaffAlarm
from mailboxes.models import Incident as IncidentRow
from mailboxes.models.destination import is_given_for
from mailboxes.providers.presets import by_id, family
from mailboxes.states import Status

CHANGED_SERVER = "The server or the user name was changed: enter the password again for the new one."
CHANGED_STEPS = (
    "A stored password goes only to the server that it was given for.",
    "Press “Update credentials”, check the servers, and enter the password or app password.",
)
# An OAuth client's incident is of those that met it.
_NOT_BY_LEG = ("ours:", "provider:", "host:")
_SHOWN_AS_HELD = frozenset({Status.SUSPECT.value, Status.UNVERIFIED.value})


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a mailbox waits for that its own diagnosis does not say. `incident_id` or `alarm_id` says where staff read
    more; nobody has to act, unless its secret is needed anew."""

    sentence: str
    steps: tuple[str, ...]
    since: datetime
    incident_id: int | None = None
    needs_secret: bool = False
    alarm_id: int | None = None


def explain(mailboxes: Sequence[Mailbox]) -> dict[int, Explanation]:
    """Return the explanations by mailbox id; none for a mailbox that stands for itself. At most eight queries.

    What is our own fault moves no mailbox, and keeps it from working all the same: that is said of connected ones too.
    """
    found = _by_changed_server(mailboxes)
    found |= _by_incident([one for one in mailboxes if one.pk not in found])
    found |= _by_blocked_address([one for one in mailboxes if one.pk not in found])
    return found | _by_our_client([one for one in mailboxes if one.pk not in found])


def explain_one(mailbox: Mailbox) -> Explanation | None:
    """Return the explanation of one mailbox, or None."""
    return explain([mailbox]).get(mailbox.pk)


def _by_changed_server(mailboxes: Sequence[Mailbox]) -> dict[int, Explanation]:
    """Another server or user name than the secret was given for: it waits until it is entered again (S7)."""
    waiting = {one.pk: one for one in mailboxes if one.status == Status.UNVERIFIED}
    if not waiting:
        return {}
    rows = Credential.objects.filter(mailbox__in=waiting).values_list(
        "mailbox_id", "destination", "oauth_client__token_url"
    )
    changed = [waiting[key] for key, given, url in rows if not is_given_for(given, vars(waiting[key]), url or "")]
    return {one.pk: Explanation(CHANGED_SERVER, CHANGED_STEPS, one.status_since, needs_secret=True) for one in changed}


def _by_incident(mailboxes: Iterable[Mailbox]) -> dict[int, Explanation]:
    shown = [one for one in mailboxes if one.status == Status.CONNECTED or one.status in _SHOWN_AS_HELD]
    if not shown:
        return {}
    active = store.active()
    pairs = ((one, next((row for row in active if _covers(row, one)), None)) for one in shown)
    return {one.pk: _of_incident(row, one) for one, row in pairs if row is not None}


def _covers(row: IncidentRow, mailbox: Mailbox) -> bool:
    if mailbox.status == Status.CONNECTED:
        return row.ours and _is_in_scope(row, mailbox)
    if not mailbox.category:
        return False
    failure_class = class_of(Category(mailbox.category), mailbox.cause_stage)
    if failure_class is None or failure_class.value != row.failure_class:
        return False
    return _is_in_scope(row, mailbox) if row.scope.startswith(_NOT_BY_LEG) else mailbox.cause_leg == row.leg == "oauth"


def _is_in_scope(row: IncidentRow, mailbox: Mailbox) -> bool:
    if row.scope in (EGRESS, RESOLVER):
        return True
    kind, _, name = row.scope.partition(":")
    if kind == "provider":
        return family(mailbox.provider) == name
    if kind == "host":
        return not mailbox.provider and name in (mailbox.smtp_host.lower(), mailbox.imap_host.lower())
    return False


def _of_incident(row: IncidentRow, mailbox: Mailbox) -> Explanation:
    if row.ours:
        sentence = "We have a problem with our own connection. There is nothing for you to do."
        return Explanation(sentence, (_WE_ARE_AT_IT,), row.started_at, incident_id=row.pk)
    sentence = f"{_name(mailbox)} has a problem at the moment. There is nothing for you to do."
    steps = (
        "We go on trying by ourselves. Nothing is sent meanwhile, and nothing is lost.",
        "Did you change the password today? Then update the credentials.",
    )
    return Explanation(sentence, steps, row.started_at, incident_id=row.pk)


_WE_ARE_AT_IT = "We are working on it. Your mailboxes go on by themselves afterwards, and nothing is lost."


def _name(mailbox: Mailbox) -> str:
    preset = by_id(mailbox.provider)
    if preset is None:
        return f"The mail server {mailbox.smtp_host or mailbox.imap_host}"
    return preset.name.partition(" (")[0].partition(" / ")[0]


def _is_kept(mailbox: Mailbox, met: Collection[int]) -> bool:
    return mailbox.status == Status.UNVERIFIED or mailbox.pk in met


def _met_our_client(mailbox_ids: Collection[int]) -> set[int]:
    """Those whose last try to sign in met a fault of our client. Two queries."""
    rows = Failure.objects.filter(mailbox__in=mailbox_ids, category=Category.OAUTH_CLIENT_MISCONFIGURED)
    failed = dict(rows.order_by().values("mailbox").annotate(at=Max("at")).values_list("mailbox", "at"))
    states = CheckState.objects.filter(mailbox__in=failed).values_list("mailbox", "oauth")
    passed = {key: unpack(oauth).last_ok for key, oauth in states}
    return {key for key, at in failed.items() if (last := passed.get(key)) is None or last < at}


def _by_blocked_address(mailboxes: Sequence[Mailbox]) -> dict[int, Explanation]:
    """A host that blocks our address wants no login for a while: its mailboxes stay connected and wait for us (X6)."""
    now = clock.now()
    waiting = [one for one in mailboxes if one.throttled_until is not None and one.throttled_until > now]
    if not waiting:
        return {}
    blocked = StaffAlarm.objects.filter(kind=alarms.ADDRESS_BLOCKED, closed_at__isnull=True)
    by_scope = {alarm.key: alarm for alarm in blocked}
    pairs = ((one, next((by_scope[scope] for scope in _scopes(one) if scope in by_scope), None)) for one in waiting)
    return {one.pk: _of_block(one, alarm) for one, alarm in pairs if alarm is not None}


def _scopes(mailbox: Mailbox) -> list[str]:
    return [scope_of(leg, vars(mailbox))[: alarms.KEY_CHARS] for leg in MAIL_LEGS]


def _of_block(mailbox: Mailbox, alarm: StaffAlarm) -> Explanation:
    sentence = f"{_name(mailbox)} does not let us in at the moment. There is nothing for you to do."
    return Explanation(sentence, (_WE_ARE_AT_IT,), alarm.opened_at, alarm_id=alarm.pk)


def _by_our_client(mailboxes: Sequence[Mailbox]) -> dict[int, Explanation]:
    """An expired secret of our own OAuth client: no mailbox is flagged, and each that signs in by it waits for us."""
    waiting = [one for one in mailboxes if one.status in (Status.UNVERIFIED, Status.CONNECTED)]
    if not waiting:
        return {}
    open_alarms = StaffAlarm.objects.filter(kind=alarms.OAUTH_CLIENT, closed_at__isnull=True)
    by_client = {alarm.key: alarm for alarm in open_alarms}
    if not by_client:
        return {}
    rows = Credential.objects.filter(mailbox__in=waiting, oauth_client__name__in=by_client)
    clients = dict(rows.values_list("mailbox_id", "oauth_client__name"))
    met = _met_our_client(clients)
    # One customer's directory may be without our app: nobody else's mailbox is kept from working by that.
    clients = {one.pk: clients[one.pk] for one in waiting if one.pk in clients and _is_kept(one, met)}
    return {
        one.pk: Explanation(
            f"We have a problem with our connection to {_name(one)}. There is nothing for you to do.",
            (_WE_ARE_AT_IT,),
            by_client[clients[one.pk]].opened_at,
            alarm_id=by_client[clients[one.pk]].pk,
        )
        for one in waiting
        if one.pk in clients
    }
