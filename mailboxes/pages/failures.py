"""What did not work ends in a sentence and a way on: ended sessions, old forms, buttons opened as links (UX-2).

What htmx asks for is answered for htmx: `static/postmend/failures.js` says the sentence in the page that is open.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode

from mailboxes.pages.client import is_live


class SignInAgain:
    """Middleware: whoever is sent to a sign-in page by a button, or by a part of a page, comes back to that page.

    What a button posts to takes no GET, and a sign-in page has no place inside a card.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.status_code == 405 and not response.content:
            response.content = render_to_string("pages/not_a_link.html", request=request)
            response.headers["Content-Type"] = "text/html; charset=utf-8"
        if response.status_code != 302 or not (page := _asked_to_prove(response)):
            return response
        if is_live(request):
            url = f"{page}?{urlencode({'next': _open_page(request), 'again': '1'})}"
            return HttpResponse(status=401, headers={"HX-Redirect": url})
        if request.method not in ("GET", "HEAD") and request.path not in _ways_in():
            return redirect(f"{page}?{urlencode({'next': _open_page(request), 'again': '1'})}")
        return response


def _asked_to_prove(response: HttpResponse) -> str:
    """The page at which the person is to prove who they are; "" for any other redirect, also that of signing out."""
    path, query = urlsplit(response.headers.get("Location", ""))[2:4]
    if not query.startswith("next="):
        return ""
    if path == reverse("second-factor"):
        return path
    return reverse("sign-in") if path in _ways_in() else ""


def _ways_in() -> tuple[str, ...]:
    return reverse("sign-in"), reverse("admin:login"), reverse("second-factor")


def _open_page(request: HttpRequest) -> str:
    """The page of ours in which the button stands, which takes GET; the first page where the browser does not say."""
    at = request.headers.get("HX-Current-URL") or request.headers.get("Referer") or ""
    try:
        parts = urlsplit(at)
    except ValueError:  # no address at all
        return reverse("home")
    if parts.netloc != request.get_host() or not parts.path.startswith("/"):
        return reverse("home")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form was too old: its session or its sign-in has changed meanwhile. Nothing was done."""
    takes_get = request.path.startswith(("/administrator/", "/invitation/"))  # and name no page that they came from
    context = {"back": request.path if takes_get else _open_page(request)}
    response = render(request, "pages/too_old.html", context, status=403)
    response.headers["Referrer-Policy"] = "same-origin"
    return response
