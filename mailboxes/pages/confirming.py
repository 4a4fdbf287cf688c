"""Confirm a mailbox's address by the code that was sent to it, or have another code sent (SPEC C10)."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailboxes.limits import Limited
from mailboxes.ownership.asking import send_again
from mailboxes.ownership.confirming import Typed, type_code
from mailboxes.pages.access import mailbox_for, person, private

_WORDS = {
    Typed.WRONG: "That code is not right. Type the newest code that was sent to this address. Nothing was changed.",
    Typed.NONE: "There is no code to compare with: it has expired, or was used. Press “Send the code again”.",
    Typed.TOO_MANY: "Too many wrong codes: this code does not work any more. Press “Send the code again”.",
}


@private
@require_POST
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """The code that the owner has typed."""
    found = mailbox_for(request, pk)
    typed = type_code(found, request.POST.get("code", ""), acting_user=person(request), now=timezone.now())
    if typed is Typed.CONFIRMED:
        messages.success(request, f"{found.address} is confirmed. It can send now.")
    else:
        messages.error(request, _WORDS[typed])
    return redirect("mailbox", found.pk)


@private
@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """ "Send the code again": the limit is told."""
    found, now = mailbox_for(request, pk), timezone.now()
    try:
        send_again(found, acting_user=person(request), now=now)
    except Limited as limited:
        messages.warning(request, limited.words(now))
    else:
        messages.success(request, f"A new code is on its way to {found.address}. The one before no longer works.")
    return redirect("mailbox", found.pk)
