"""The Content-Security-Policy of every page (SPEC S6)."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# No form-action: browsers apply it to redirects too, and the consent button leads to the provider.
_OURS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The admin's theme runs Alpine, which compiles expressions, and sets styles on elements (PITFALLS section 6).
_ADMIN = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-eval'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class ContentSecurityPolicy:
    """Middleware: the strict policy everywhere but under /admin/."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        policy = _ADMIN if request.path.startswith("/admin/") else _OURS
        response.headers.setdefault("Content-Security-Policy", policy)
        return response
