"""The second factor of staff (SPEC S6): asked for after the password, before any page. Set up at the first sign-in."""

from __future__ import annotations

from collections.abc import Callable

import django_otp
import segno
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from mailboxes.models import AuditEntry, CodeDevice, RecoveryCodes
from mailboxes.pages.access import person, private


class Gate:
    """Middleware: staff who have not shown their second factor in this session see no page but its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.STAFF_SECOND_FACTOR and _is_unverified_staff(request) and not _is_open(request.path):
            return redirect_to_login(request.get_full_path(), reverse("second-factor"))
        return self._get_response(request)


def _is_unverified_staff(request: HttpRequest) -> bool:
    user = request.user
    return isinstance(user, User) and user.is_staff and not user.is_verified()  # type: ignore[attr-defined]  # django-otp


def _is_open(path: str) -> bool:
    outside = (reverse("second-factor"), reverse("sign-out"), reverse("admin:logout"))
    return path in outside or path.startswith(settings.STATIC_URL)


@private
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for the code; show the QR code where no app is set up yet."""
    user = person(request)
    if not user.is_staff:
        return redirect("home")
    device, wrong = _device(user), False
    if request.method == "POST":
        code = "".join(request.POST.get("code", "").split()).replace("-", "")
        asked = _device_of(code, user, device)
        is_looked_at = asked is not None and asked.verify_is_allowed()[0]
        if asked is not None and asked.verify_token(code):
            return _verified(request, asked)
        wrong = True
        if is_looked_at:  # those that come too soon would fill the table
            AuditEntry.objects.create(actor=user, action="second factor failed", at=timezone.now())
    context = {"device": device, "wrong": wrong, "next": _next(request), "left": RecoveryCodes.left(user)}
    if not device.confirmed:
        context["picture"] = segno.make(device.setup_url, micro=False).svg_data_uri(scale=5, border=2, light="white")
        context["key"] = device.setup_url.partition("secret=")[2].partition("&")[0]
    return render(request, "pages/second_factor.html", context, status=403 if wrong else 200)


@private
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make ten codes for a lost phone; they are shown in the answer, and never again."""
    user = person(request)
    if not user.is_verified():  # type: ignore[attr-defined]  # django-otp
        raise Http404
    codes = []
    if request.method == "POST":
        codes = RecoveryCodes.renew(user)
        AuditEntry.objects.create(actor=user, action="recovery codes made", at=timezone.now())
    context = {"codes": codes, "left": RecoveryCodes.left(user), "next": _next(request)}
    return render(request, "pages/recovery_codes.html", context)


def _device(user: User) -> CodeDevice:
    """The person's app; one that was never confirmed is set up further, if its key can still be read."""
    found: CodeDevice | None = CodeDevice.objects.filter(user=user).order_by("-confirmed", "pk").first()
    if found is not None and not found.confirmed and not found.is_readable:
        found.delete()
        found = None
    return found or CodeDevice.objects.create(
        user=user, name="Authenticator app", confirmed=False, key=CodeDevice.new_key()
    )


def _device_of(code: str, user: User, app: CodeDevice) -> CodeDevice | RecoveryCodes | None:
    """Whose code this can be: six digits are the app's, twelve letters and digits a recovery code."""
    if len(code) == 12 and app.confirmed:
        found: RecoveryCodes | None = RecoveryCodes.objects.filter(user=user).first()
        return found
    return app


def _verified(request: HttpRequest, device: CodeDevice | RecoveryCodes) -> HttpResponse:
    user, is_new = person(request), not device.confirmed
    if is_new:
        CodeDevice.objects.filter(pk=device.pk).update(confirmed=True)
        AuditEntry.objects.create(actor=user, action="second factor set up", at=timezone.now())
    if isinstance(device, RecoveryCodes):
        AuditEntry.objects.create(actor=user, action="recovery code used", at=timezone.now())
    request.session.cycle_key()  # who knew the session before the second factor does not know it after
    django_otp.login(request, device)
    if is_new:
        return redirect(f"{reverse('recovery-codes')}?{urlencode({'next': _next(request)})}")
    return redirect(_next(request))


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else reverse("home")
