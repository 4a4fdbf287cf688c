"""The page of the customer's administrator: no login, one mailbox, one cause, the steps, and whether it works (R8)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from mailboxes.diagnosis.advice import Place, advise
from mailboxes.health import rules
from mailboxes.limits import Limited
from mailboxes.models import AskedCheck
from mailboxes.pages.client import is_live
from mailboxes.providers.presets import family
from mailboxes.reconnect.administrator import BadLink, Shown, check_again, read
from mailboxes.wording import provider_name


@never_cache
def administrator(request: HttpRequest, token: str) -> HttpResponse:
    """The page; POST checks again."""
    try:
        shown = read(token)
    except BadLink as bad:
        return _sealed(render(request, "pages/administrator_over.html", {"expired": bad.expired}, status=404))
    limited = ""
    if request.method == "POST":
        try:
            check_again(shown, timezone.now())
            return _sealed(redirect("administrator", token))
        except Limited as too_often:
            limited = too_often.words(timezone.now())
    template = "pages/administrator_live.html" if is_live(request) else "pages/administrator.html"
    return _sealed(render(request, template, _context(shown, token, limited), status=429 if limited else 200))


def _context(shown: Shown, token: str, limited: str) -> dict[str, object]:
    """Nothing of the mailbox but its address, which the steps need, and whether the cause is gone."""
    mailbox = shown.mailbox
    name = provider_name(mailbox.provider) if mailbox.provider else ""
    variant = "" if shown.works or shown.is_done else rules.variant(shown.category, mailbox.cause_text)
    place = Place(mailbox.address, name, family(mailbox.provider))
    return {
        "token": token,
        "advice": advise(shown.category, place, variant),
        "works": shown.works,
        "is_done": shown.is_done,
        "pending": AskedCheck.objects.filter(mailbox=mailbox, done_at__isnull=True).exists(),
        "limited": limited,
    }


def _sealed(response: HttpResponse) -> HttpResponse:
    """The address is the key: it is told to nobody, and found by no search."""
    # Not "no-referrer": with that a browser posts the form with "Origin: null", which the CSRF check refuses.
    response.headers["Referrer-Policy"] = "strict-origin"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
