"""Sign-in is slowed where it is guessed at, and nobody can lock out somebody else (SPEC S6; OWASP device cookies).

Wrong passwords count for the name from one network, for the network over all names, and for the name over all
networks. The last refuses nobody: it leaves each network fewer tries. A browser that has signed in to this name before
proves it by a signed cookie and is counted alone, whatever others do to the name or from the same network.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from mailboxes import limits
from mailboxes.limits import Counted, Limited, Rate
from mailboxes.models import AuditEntry
from mailboxes.models.hashes import keyed_hashes
from mailboxes.pages.client import source_of

HOUR = timedelta(hours=1)
BY_NAME_AND_NETWORK = Rate("sign-in by name and network", 8, HOUR)
BY_GUESSED_NAME_AND_NETWORK = Rate("sign-in by guessed name and network", 2, HOUR)
BY_NETWORK = Rate("sign-in by network", 30, HOUR)
BY_NAME = Rate("sign-in by name", 50, HOUR)
BY_DEVICE = Rate("sign-in by device", 8, HOUR)
LONGEST_NAME = 254  # of an address (RFC 5321); longer ones are nobody's
DEVICE_COOKIE = "postmend_device"
DEVICE_FOR = timedelta(days=365)
NAMES_OF_A_DEVICE = 5
_SALT = "postmend.device"


class ThrottledBackend(ModelBackend):
    """Users and passwords of Django, each try counted before the password is looked at: also tries in parallel."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        """Return the user, or None. Raises PermissionDenied where it was tried too often."""
        if request is None or username is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        try:
            counted = _take(request, username[: LONGEST_NAME + 1].lower())
        except Limited as limited:
            _note(request, "sign_in_limited", limited)
            raise PermissionDenied from None
        user = _authenticate(super().authenticate, request, username, password)
        if user is not None:
            _give_back(counted)
            _note(request, "signed_in_name", username.lower())
            _note(request, "right_password_of", user)
        else:
            _note(request, "wrong_password_of", username)
        return user


def _authenticate(look: Callable[..., Any], request: HttpRequest, username: str, password: str) -> Any:
    if len(username) > LONGEST_NAME or "\0" in username:
        make_password(password)  # takes the same time as a name that might be somebody's
        return None
    return look(request, username, password)


def _take(request: HttpRequest, name: str) -> list[Counted]:
    """Count this try before it is made. Raises Limited."""
    now, network, nonce = timezone.now(), source_of(request), _nonce(_device(request), name)
    of_device = (BY_DEVICE, f"{nonce}/{name}")
    if nonce and _has_room(*of_device, now):
        counted = [of_device]
    else:
        # The network first: where it has no try left, no row is made for whatever name was sent.
        counted = [(BY_NETWORK, network)] if network else []
        key = f"{name}/{network or 'unknown'}"
        if _has_room(BY_NAME, name, now):
            counted += [(BY_NAME, name), (BY_NAME_AND_NETWORK, key)]
        else:
            counted += [(BY_GUESSED_NAME_AND_NETWORK, key)]
    limits.take_all(counted, now)
    return counted


def _has_room(rate: Rate, key: str, now: datetime) -> bool:
    free_at = limits.free_at(rate, key)
    return free_at is None or free_at <= now


def _give_back(counted: list[Counted]) -> None:
    """A right password costs nothing, and ends what was counted for this name here. What network and name have of
    wrong ones stays: an attacker may have an account of their own."""
    for rate, key in counted:
        if rate in (BY_NETWORK, BY_NAME):
            limits.give_back(rate, key)
        else:
            limits.forget(rate, key)


def _note(request: HttpRequest, name: str, value: object) -> None:
    setattr(request, name, value)


class SignInThrottle:
    """Middleware: tells that it was tried too often, and gives a browser that signed in its device cookie."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        limited, name = getattr(request, "sign_in_limited", None), getattr(request, "signed_in_name", "")
        _audit(request)
        if limited is not None:
            wait = limited.wait(timezone.now())
            return render(request, "pages/locked.html", {"wait": wait}, status=429)
        if name:
            _prove_device(request, response, name)
        return response


def _audit(request: HttpRequest) -> None:
    """A row for each sign-in and each failed one of a known account. What the limits refuse leaves none: strangers
    would fill the table. An unknown name is kept nowhere: it may be a password in the wrong field."""
    user, name = getattr(request, "right_password_of", None), getattr(request, "wrong_password_of", "")
    detail, now = f"from {source_of(request) or 'an unknown network'}", timezone.now()
    if user is not None and request.user == user:
        AuditEntry.objects.create(actor=user, action="signed in", target=user.get_username(), detail=detail, at=now)
    elif user is not None:  # the admin's door, and no member of staff
        AuditEntry.objects.create(action="sign-in refused", target=user.get_username(), detail=detail, at=now)
    elif name and len(name) <= LONGEST_NAME and "\0" not in name and User.objects.filter(username=name).exists():
        AuditEntry.objects.create(action="sign-in failed", target=name, detail=detail, at=now)


def _device(request: HttpRequest) -> dict[str, str]:
    """The names that this browser has signed in to, hashed, each with a random number."""
    try:
        kept = signing.loads(request.COOKIES.get(DEVICE_COOKIE, ""), salt=_SALT, max_age=DEVICE_FOR)
    except signing.BadSignature:
        return {}
    return kept if isinstance(kept, dict) else {}


def _prove_device(request: HttpRequest, response: HttpResponse, name: str) -> None:
    keys, known = _name_keys(name), _device(request)
    nonce = _nonce(known, name) or secrets.token_urlsafe(12)
    others = [pair for pair in known.items() if pair[0] not in keys]
    kept = dict([*others, (keys[0], nonce)][-NAMES_OF_A_DEVICE:])
    response.set_cookie(
        DEVICE_COOKIE,
        signing.dumps(kept, salt=_SALT),
        max_age=DEVICE_FOR,
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )


def _nonce(known: dict[str, str], name: str) -> str:
    return next((known[key] for key in _name_keys(name) if key in known), "")


def _name_keys(name: str) -> list[str]:
    return [found[:32] for found in keyed_hashes(_SALT, name)]
