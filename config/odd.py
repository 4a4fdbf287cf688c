"""What no page of ours takes is refused before any page reads it (SEC-21): a NUL, which no text column of PostgreSQL
holds, and a number that no column of numbers holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.http import HttpRequest, HttpResponse
from django.views.defaults import bad_request, page_not_found

LARGEST = 2**63 - 1
MOST_DIGITS = 18
_FREE_TEXT = ("q", "term")  # what is searched for may look like a number


class OddValues:
    """Middleware: 400 for a NUL in path, query, form or cookie, and for a number in a query beyond any column; 404 for
    such a number in a path."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if any(part.isdigit() and len(part) > MOST_DIGITS for part in request.path_info.split("/")):
            return page_not_found(request, Exception())
        if any("\0" in text for text in _texts(request)) or _has_a_number_beyond(request):
            return bad_request(request, Exception())
        return self._get_response(request)


def _texts(request: HttpRequest) -> Iterable[str]:
    """All that is text in a request. Files are not: whoever reads them looks at their bytes."""
    yield request.path_info
    yield from request.COOKIES.values()
    for sent in (request.GET, request.POST):
        for name, values in sent.lists():
            yield name
            yield from values


def _has_a_number_beyond(request: HttpRequest) -> bool:
    named = (values for name, values in request.GET.lists() if name not in _FREE_TEXT)
    return any(_is_beyond(part) for values in named for value in values for part in value.split(","))


def _is_beyond(text: str) -> bool:
    try:
        return abs(int(text)) > LARGEST
    except ValueError:
        return len(text) > MOST_DIGITS and text.strip().lstrip("+-").isdigit()
