"""The second factor of staff (SPEC S6): asked for after the password, before any page. Set up at the first sign-in."""

from __future__ import annotations

from collections.abc import Callable

import django_otp
import segno
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from mailboxes.models import AuditEntry, CodeDevice
from mailboxes.pages.access import person, private


class Gate:
    """Middleware: staff who have not shown their second factor in this session see no page but its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.STAFF_SECOND_FACTOR and _is_unverified_staff(request) and not _is_open(request.path):
            return redirect(f"{reverse('second-factor')}?next={request.path}")
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
        if device.verify_token(request.POST.get("code", "").replace(" ", "")):
            return _verified(request, device)
        wrong = True
    context = {"device": device, "wrong": wrong, "next": _next(request)}
    if not device.confirmed:
        context["picture"] = segno.make(device.setup_url, micro=False).svg_data_uri(scale=5, border=2, light="white")
        context["key"] = device.setup_url.partition("secret=")[2].partition("&")[0]
    return render(request, "pages/second_factor.html", context, status=403 if wrong else 200)


def _device(user: User) -> CodeDevice:
    """The person's app; one that was never confirmed is set up further."""
    devices = CodeDevice.objects.filter(user=user).order_by("-confirmed", "pk")
    found: CodeDevice | None = devices.first()
    return found or CodeDevice.objects.create(
        user=user, name="Authenticator app", confirmed=False, key=CodeDevice.new_key()
    )


def _verified(request: HttpRequest, device: CodeDevice) -> HttpResponse:
    if not device.confirmed:
        CodeDevice.objects.filter(pk=device.pk).update(confirmed=True)
        AuditEntry.objects.create(actor=person(request), action="second factor set up", at=timezone.now())
    django_otp.login(request, device)
    return redirect(_next(request))


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else reverse("home")
