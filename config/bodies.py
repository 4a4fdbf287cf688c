"""What anybody may send without having signed in is small (SPEC S4): a form, never a file."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

MOST_BYTES = 16 * 1024
_OPEN = (
    "/sign-in/", "/admin/login/", "/recover/", "/second-factor/", "/invitation/", "/administrator/", "/unsubscribe/",
)  # fmt: skip
_WORDS = "That is more than this form takes. Go back and send less."


class SmallBodies:
    """Middleware: refuses a large body on the pages that need no login, before anything reads it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.META.get("CONTENT_LENGTH") or "0"
        if request.path.startswith(_OPEN) and not (sent.isascii() and sent.isdigit() and int(sent) <= MOST_BYTES):
            return HttpResponse(_WORDS, status=413, content_type="text/plain; charset=utf-8")
        return self._get_response(request)
