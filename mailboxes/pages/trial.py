"""A test of new credentials: its progress, its result, and what may be done then (SPEC C5, C6, U2)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailboxes.diagnosis.advice import Advice, Place, advise
from mailboxes.diagnosis.categories import Category
from mailboxes.health import rules
from mailboxes.health.renewed import Busy
from mailboxes.models import Trial
from mailboxes.pages.access import acts_as_staff, person, private, trial_for
from mailboxes.pages.stages import legs_shown
from mailboxes.providers.presets import family
from mailboxes.reconnect import keeping, trials
from mailboxes.states import CredentialKind
from mailboxes.wire.values import Leg
from mailboxes.wording import provider_name


@private
def trial(request: HttpRequest, pk: int) -> HttpResponse:
    """The page."""
    return render(request, "pages/trial.html", context(request, trial_for(request, pk)))


@private
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Its part that changes."""
    return render(request, "pages/trial_live.html", context(request, trial_for(request, pk)))


@private
@require_POST
def keep(request: HttpRequest, pk: int) -> HttpResponse:
    """ "Save and keep checking", or "Save for sending only"."""
    found = trial_for(request, pk)
    send_only = request.POST.get("how") == "send-only"
    try:
        mailbox = keeping.keep_anyway(found, send_only=send_only, acting_user=person(request), now=timezone.now())
    except keeping.Gone:
        messages.error(request, "The tested password is not kept any more: enter it again. Nothing was changed.")
        return redirect("trial", found.pk)
    except Busy as busy:
        messages.error(request, str(busy))
        return redirect("trial", found.pk)
    messages.success(request, "Saved. It is checked from now on, and goes to work as soon as a check passes.")
    return redirect("mailbox", mailbox.pk)


@private
@require_POST
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Nothing is kept."""
    found = trial_for(request, pk)
    trials.discard(found)
    return redirect("mailbox", found.mailbox_id) if found.mailbox_id else redirect("mailboxes")


def context(request: HttpRequest, found: Trial) -> dict[str, Any]:
    """All that the page shows."""
    expected = [leg for leg in (Leg.SMTP, Leg.IMAP) if found.place.get(f"wants_{leg.value}")]
    query = urlencode({"workspace": found.workspace_id, "address": found.address})
    back = reverse("credentials", args=[found.mailbox_id]) if found.mailbox_id else f"{reverse('connect')}?{query}"
    return {
        "trial": found,
        "mailbox": found.mailbox,
        "pending": found.done_at is None,
        "waits_until": found.begins_at if found.begins_at and found.begins_at > timezone.now() else None,
        "legs": legs_shown(found.legs, expected),
        "advice": _advice(found),
        "may_keep": keeping.may_keep_checking(found),
        "may_send_only": keeping.may_send_only(found),
        "kept_secret": hasattr(found, "candidate"),
        "oauth": found.kind == CredentialKind.OAUTH,
        "as_staff": acts_as_staff(request, found.workspace),
        "form_url": back,
    }


def _advice(found: Trial) -> Advice | None:
    if not found.category:
        return None
    provider, category = str(found.place.get("provider") or ""), Category(found.category)
    host = str(found.place.get(f"{found.leg}_host") or "")
    name = provider_name(provider) if provider else ""
    place = Place(found.address, name, family(provider), host, found.kind == CredentialKind.OAUTH)
    return advise(category, place, rules.variant(category, found.text))
