"""What staff do to a mailbox from its page: each a POST with a permission, answered by a redirect to the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils import timezone

from mailboxes.admin.base import staff
from mailboxes.admin.page import last_asked
from mailboxes.admin.posts import posted
from mailboxes.health import asked, holds
from mailboxes.models import Mailbox
from mailboxes.reconnect import requests
from mailboxes.rights import STAFF, Deed

CHECK, HOLD, RECONNECT = (STAFF[deed] for deed in (Deed.CHECK_MAILBOX, Deed.HOLD_MAILBOX, Deed.RECONNECT_MAILBOX))


def urls(admin: ModelAdmin[Mailbox]) -> list[URLPattern]:
    """The deeds' addresses, behind the admin's own sign-in."""
    view = admin.admin_site.admin_view
    return [
        path("<int:pk>/check/", view(_post(CHECK, _check)), name="mailbox_check"),
        path("<int:pk>/hold/", view(_post(HOLD, _hold)), name="mailbox_hold"),
        path("<int:pk>/release/", view(_post(HOLD, _release)), name="mailbox_release"),
        path("<int:pk>/request/", view(_post(RECONNECT, _request)), name="mailbox_request"),
        path("<int:pk>/withdraw/", view(_post(RECONNECT, _withdraw)), name="mailbox_withdraw"),
        path("<int:pk>/asked/", view(_asked), name="mailbox_asked"),
    ]


def _post(permission: str, deed: Callable[[HttpRequest, Mailbox], None]) -> Callable[..., Any]:
    return posted(Mailbox, permission, deed)


def _check(request: HttpRequest, mailbox: Mailbox) -> None:
    new = asked.ask([mailbox.pk], acting_user=staff(request), now=timezone.now())
    words = "The check was asked for; its result appears here." if new else "A check is under way already."
    messages.success(request, words)


def _hold(request: HttpRequest, mailbox: Mailbox) -> None:
    reason = request.POST.get("reason", "").strip()[:200]
    if not reason:
        messages.error(request, "Reason: say in a few words why the mailbox is paused.")
        return
    holds.hold([mailbox.pk], reason=reason, acting_user=staff(request), now=timezone.now())
    messages.success(request, "Paused. It does no work, and is still checked.")


def _release(request: HttpRequest, mailbox: Mailbox) -> None:
    holds.release([mailbox.pk], acting_user=staff(request), now=timezone.now())
    messages.success(request, "Resumed. It works as soon as its connection does.")


def _request(request: HttpRequest, mailbox: Mailbox) -> None:
    note = request.POST.get("note", "").strip()
    requests.ask_to_reconnect(mailbox, note=note, acting_user=staff(request), now=timezone.now())
    messages.success(request, "It stands in the customer's banner until they reconnect. No email is sent.")


def _withdraw(request: HttpRequest, mailbox: Mailbox) -> None:
    requests.withdraw(mailbox, acting_user=staff(request), now=timezone.now())
    messages.success(request, "The request is withdrawn.")


def _asked(request: HttpRequest, pk: int) -> HttpResponse:
    """The last asked check as a fragment; it asks for itself again until there is a result."""
    if not request.user.has_perm("mailboxes.view_mailbox"):
        raise PermissionDenied
    mailbox = get_object_or_404(Mailbox, pk=pk)
    done = last_asked(mailbox)
    response = render(request, "admin/mailboxes/mailbox/asked.html", {"asked": done, "mailbox": mailbox})
    if done and done.done_at and request.GET.get("waiting"):
        response["HX-Refresh"] = "true"  # badge, legs and history have news too
    return response
