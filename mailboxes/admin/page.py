"""What the mailbox's page shows: diagnosis, legs, the last asked check, history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.safestring import SafeString

from mailboxes.admin import picture, timeline
from mailboxes.admin.badges import badge
from mailboxes.diagnosis.advice import Action
from mailboxes.health.domains import sign_of
from mailboxes.health.explaining import explain_one
from mailboxes.health.legs import unpack
from mailboxes.health.limits import Use, uses
from mailboxes.health.policy import leg_status
from mailboxes.models import AskedCheck, CheckDay, CheckState, Credential, Mailbox, ReconnectRequest
from mailboxes.ownership.standing import unconfirmed
from mailboxes.panels import panels, resumes
from mailboxes.providers.discovery import domain_of
from mailboxes.providers.domains import explain
from mailboxes.providers.limits import limits_of
from mailboxes.providers.presets import family
from mailboxes.reconnect import administrator
from mailboxes.reconnect.oauth.registrations import for_family
from mailboxes.states import CredentialKind, Status
from mailboxes.wire.values import Leg
from mailboxes.wording import advice_for, ago, cause_words, provider_name

MOST_CHANGES = 2000
_SIGN_IN = (Action.RECONNECT_GOOGLE, Action.RECONNECT_MICROSOFT)
UNUSED_SOON = timedelta(days=60)
_LEG_NAMES = {Leg.SMTP: "SMTP (sends)", Leg.IMAP: "IMAP (reads)", Leg.OAUTH: "OAuth grant"}


@dataclass(frozen=True, slots=True)
class LegLine:
    """One leg as the page shows it."""

    name: str
    state: str
    colour: str
    place: str
    last_ok: str
    cause: str
    text: str


def context(mailbox: Mailbox, now: datetime, before: datetime | None = None) -> dict[str, Any]:
    """Everything that the page's templates need; the timeline from `before` on backwards."""
    columns = ("kind", "version", "replaced_at", "identity_name", "refreshed_at")
    kind = Credential.objects.filter(mailbox=mailbox).values_list(*columns).first()
    advice = advice_for(mailbox, oauth=bool(kind and kind[0] == CredentialKind.OAUTH), explained=explain_one(mailbox))
    state = CheckState.objects.filter(mailbox=mailbox).first()
    listed, older = timeline.days(mailbox, before or now + timedelta(seconds=1))
    made = panels(mailbox)
    return {
        "mailbox": mailbox,
        "now": now,
        "provider_name": provider_name(mailbox.provider),
        "advice": advice,
        "sign_in": for_family(family(mailbox.provider)) if advice and advice.action in _SIGN_IN else None,
        "opens_settings": bool(advice and advice.action is Action.CHECK_SETTINGS),
        "request_open": ReconnectRequest.objects.filter(mailbox=mailbox, answered_at__isnull=True).first(),
        "administrator_token": administrator.token_for(mailbox) if administrator.is_for_administrators(mailbox) else "",
        "cause": cause_words(mailbox.category),
        "since": ago(mailbox.status_since, now),
        "credential": kind,
        "breaks_soon": _breaks_soon(kind, now),
        "legs": _legs(mailbox, state, kind[0] if kind else "", now),
        "resting": mailbox.resting_until is not None and mailbox.resting_until > now,
        "flapping": mailbox.is_flapping(now),
        "bounced_words": mailbox.risk_reason.partition(":")[0],
        "at_risk": mailbox.risk_until is not None and mailbox.risk_until > now,
        "uses": _uses(mailbox, state, now),
        "domain_sign": _domain_sign(mailbox),
        "unconfirmed": unconfirmed(mailbox, now),
        "picture": _picture(mailbox, now),
        "timeline": listed,
        "older": older.isoformat() if older else "",
        "newer": before is not None,
        "panels": made,
        "resumes": resumes(mailbox, made),
        "asked": last_asked(mailbox),
    }


def state_badges(mailbox: Mailbox, now: datetime) -> list[SafeString]:
    """What stands beside the status: flapping, a sending limit, a risk; each its own badge."""
    found = []
    if mailbox.is_flapping(now):
        found.append(badge("Flapping", title=f"Comes and goes since {mailbox.flapping_since:%-d %b at %H:%M} UTC"))
    if mailbox.resting_until is not None and mailbox.resting_until > now:
        until = f"Sending limit; sends again on {mailbox.resting_until:%-d %b at %H:%M} UTC"
        found.append(badge("Resting", title=until))
    if mailbox.risk_until is not None and mailbox.risk_until > now:
        until = f"{mailbox.risk_reason} Sends again on {mailbox.risk_until:%-d %b at %H:%M} UTC"
        found.append(badge("Resting: bounces", title=until))
    return found


def _breaks_soon(credential: tuple[Any, ...] | None, now: datetime) -> bool:
    """True for a grant that nobody used for 60 days (H11): Microsoft ends it after 90."""
    if credential is None or credential[0] != CredentialKind.OAUTH:
        return False
    last_used: datetime = credential[4] or credential[2]
    return now - last_used > UNUSED_SOON


def _picture(mailbox: Mailbox, now: datetime) -> picture.Picture:
    start = now - timedelta(days=picture.DAYS)
    rows = mailbox.status_changes.filter(at__gte=start, at__lte=now).order_by("number")
    changes = [picture.Change(*row) for row in rows.values_list("at", "from_status", "to_status")[:MOST_CHANGES]]
    days = CheckDay.objects.filter(mailbox=mailbox, day__gte=start.date()).values_list("day", "hours")
    return picture.draw(changes, days, status=mailbox.status, created_at=mailbox.created_at, now=now)


def last_asked(mailbox: Mailbox) -> AskedCheck | None:
    """The check that was asked for last."""
    return AskedCheck.objects.filter(mailbox=mailbox).select_related("asked_by").order_by("-asked_at", "-id").first()


def _domain_sign(mailbox: Mailbox) -> str:
    """What the domain says beside the diagnosis; "" where nothing stands out, or the mailbox is well."""
    if not mailbox.category:
        return ""
    sign, exchangers = sign_of(mailbox.address)
    return explain(sign, domain_of(mailbox.address), exchangers, mailbox.provider)


def _uses(mailbox: Mailbox, state: CheckState | None, now: datetime) -> list[Use]:
    return uses(state.use, limits_of(mailbox.provider), now) if state and mailbox.wants_smtp else []


def _legs(mailbox: Mailbox, state: CheckState | None, kind: str, now: datetime) -> list[LegLine]:
    wanted = {Leg.SMTP: mailbox.wants_smtp, Leg.IMAP: mailbox.wants_imap, Leg.OAUTH: kind == CredentialKind.OAUTH}
    columns = {leg: getattr(state, leg.value) if state else {} for leg in Leg}
    places = {
        Leg.SMTP: f"{mailbox.smtp_host}:{mailbox.smtp_port} {mailbox.smtp_security}",
        Leg.IMAP: f"{mailbox.imap_host}:{mailbox.imap_port} {mailbox.imap_security}",
    }
    return [_line(leg, columns[leg], places.get(leg, ""), now) for leg in Leg if wanted[leg]]


def _line(leg: Leg, column: dict[str, Any], place: str, now: datetime) -> LegLine:
    memory = unpack(column)
    status = leg_status(memory)
    words, colour = {
        Status.CONNECTED: ("Works", "green"),
        Status.UNVERIFIED: ("Not tried yet", "grey"),
        Status.SUSPECT: ("Fails, being confirmed", "amber"),
    }.get(status, ("Fails", "red"))
    cause = cause_words(memory.category.value) if memory.category else ""
    return LegLine(_LEG_NAMES[leg], words, colour, place, ago(memory.last_ok, now), cause, memory.text)
