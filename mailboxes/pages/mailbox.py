"""A mailbox's page: what happened, the one action, the steps, what waits, and live progress (U2, U3, C9)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailboxes.diagnosis.advice import Action, Advice
from mailboxes.health import asked
from mailboxes.health.explaining import explain_one
from mailboxes.limits import Limited, take
from mailboxes.links import public_link
from mailboxes.models import AskedCheck, Credential, Mailbox, ReconnectRequest, Trial
from mailboxes.ownership.standing import unconfirmed
from mailboxes.pages.access import acts_as_staff, allowed, mailbox_for, person, private
from mailboxes.pages.stages import legs_shown
from mailboxes.panels import panels, resumes
from mailboxes.providers.presets import by_id, family
from mailboxes.reconnect import administrator, removal
from mailboxes.reconnect.limits import CHECKS_BY_CUSTOMER
from mailboxes.reconnect.oauth.registrations import Registration, for_family
from mailboxes.rights import Deed
from mailboxes.states import CredentialKind, Status
from mailboxes.wording import advice_for, ago, provider_name

_SIGN_IN = (Action.RECONNECT_GOOGLE, Action.RECONNECT_MICROSOFT)
_FORM = (Action.UPDATE_CREDENTIALS, Action.CHECK_SETTINGS)


@private
def mailbox(request: HttpRequest, pk: int) -> HttpResponse:
    """The page."""
    found = mailbox_for(request, pk, Deed.SEE_MAILBOX)
    return render(request, "pages/mailbox.html", context(request, found, timezone.now()))


@private
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """Its part that changes; it asks for itself again while something is under way."""
    found = mailbox_for(request, pk, Deed.SEE_MAILBOX)
    return render(request, "pages/mailbox_live.html", context(request, found, timezone.now()))


@private
@require_POST
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """ "Check again" (U3): the limit is told."""
    found, now = mailbox_for(request, pk, Deed.CHECK_MAILBOX), timezone.now()
    try:
        take(CHECKS_BY_CUSTOMER, f"{found.pk}/{person(request).pk}", now, "of this mailbox")
    except Limited as limited:
        messages.warning(request, limited.words(now))
    else:
        asked.ask([found.pk], acting_user=person(request), now=now)
    return redirect("mailbox", found.pk)


@private
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove it, after a question (C9)."""
    found = mailbox_for(request, pk, Deed.REMOVE_MAILBOX)
    if request.method != "POST":
        return render(request, "pages/remove.html", {"mailbox": found})
    removal.remove(found, acting_user=person(request), now=timezone.now())
    messages.success(request, f"{found.address} was removed. Its stored password or access is wiped.")
    return redirect("admin:mailboxes_mailbox_changelist" if acts_as_staff(request, found.workspace) else "mailboxes")


def context(request: HttpRequest, found: Mailbox, now: datetime) -> dict[str, Any]:
    """All that the page shows."""
    credential = Credential.objects.filter(mailbox=found).only("kind", "identity_name", "replaced_at").first()
    oauth = credential is not None and credential.kind == CredentialKind.OAUTH
    explained = explain_one(found)
    advice = advice_for(found, oauth=oauth, explained=explained)
    check = AskedCheck.objects.filter(mailbox=found).order_by("-asked_at", "-id").first()
    trial = Trial.objects.filter(mailbox=found, done_at__isnull=True).order_by("-asked_at").first()
    request_open = ReconnectRequest.objects.filter(mailbox=found, answered_at__isnull=True).first()
    as_staff = acts_as_staff(request, found.workspace)
    made = panels(found)
    return {
        "mailbox": found,
        "advice": advice,
        "explained": explained,
        "sign_in": sign_in_for(found, advice, oauth=oauth) if advice or request_open else None,
        "opens_form": advice is None
        or advice.action in _FORM
        or (advice.action in _SIGN_IN and not _registered(found)),
        "provider": provider_name(found.provider),
        "preset": by_id(found.provider),
        "check": check,
        "check_legs": legs_shown(check.legs) if check and check.done_at else [],
        "trial": trial,
        "pending": bool(trial or (check and check.done_at is None) or found.status == Status.UNVERIFIED),
        "request_open": request_open,
        "administrator_url": _administrator_url(found),
        "unconfirmed": unconfirmed(found, now),
        "flapping": found.is_flapping(now),
        "panels": made,
        "resumes": resumes(found, made),
        "as_staff": as_staff,
        "allowed": allowed(request, found.workspace_id),
        "identity_name": credential.identity_name if credential else "",
        "since": f"for {ago(found.status_since, now)}".replace("for now", "just now"),
    }


def sign_in_for(found: Mailbox, advice: Advice | None, *, oauth: bool) -> Registration | None:
    """The sign-in that mends it; of a mailbox without a fault the one that it was connected by (R1)."""
    mends = advice.action in _SIGN_IN if advice is not None else oauth
    return _registered(found) if mends else None


def _opens_form(found: Mailbox, advice: Advice | None) -> bool:
    """True where the form is the way: also where a sign-in is meant and we are not registered there."""
    return advice is None or advice.action in _FORM or (advice.action in _SIGN_IN and not _registered(found))


def _registered(found: Mailbox) -> Registration | None:
    return for_family(family(found.provider))


def _administrator_url(found: Mailbox) -> str:
    if not administrator.is_for_administrators(found):
        return ""
    return public_link("administrator", administrator.token_for(found))
