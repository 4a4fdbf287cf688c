"""Help pages, for everybody: per cause, per provider, what to prepare, blocked pop-ups (SPEC U4). Made of the same
texts as the diagnosis."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from mailboxes.diagnosis.advice import Place, advise
from mailboxes.diagnosis.categories import MATRIX, Category
from mailboxes.providers.presets import by_id, names
from mailboxes.wording import CATEGORY_WORDS

_NOT_FOR_CUSTOMERS = (Category.OAUTH_CLIENT_MISCONFIGURED, Category.UNKNOWN)
CAUSES = [category for category in Category if category not in _NOT_FOR_CUSTOMERS]


def index(request: HttpRequest) -> HttpResponse:
    """All help pages."""
    causes = [(category.value, CATEGORY_WORDS[category.value], MATRIX[category].needs_reconnect) for category in CAUSES]
    return render(request, "pages/help.html", {"causes": causes, "providers": names()})


def cause(request: HttpRequest, category: str) -> HttpResponse:
    """What a cause means and what to do, in general or, with `?provider=`, there."""
    if category not in [one.value for one in CAUSES]:
        raise Http404
    preset = by_id(request.GET.get("provider", ""))
    place = Place("your mailbox", preset.name if preset else "Your provider", preset.family if preset else "")
    advice = advise(Category(category), place)
    context = {"advice": advice, "title": CATEGORY_WORDS[category], "preset": preset, "category": category}
    return render(request, "pages/help_cause.html", context)


def provider(request: HttpRequest, provider: str) -> HttpResponse:
    """How a provider's mailboxes are connected."""
    preset = by_id(provider)
    if preset is None:
        raise Http404
    return render(request, "pages/help_provider.html", {"preset": preset})


def prepare(request: HttpRequest) -> HttpResponse:
    """What to have at hand before connecting."""
    return render(request, "pages/help_prepare.html")


def pop_ups(request: HttpRequest) -> HttpResponse:
    """Where the sign-in page does not open."""
    return render(request, "pages/help_pop_ups.html")
