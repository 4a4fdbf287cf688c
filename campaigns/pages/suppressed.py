"""The addresses that a workspace never writes to again (SPEC K5, K6)."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from campaigns.deeds import suppress
from campaigns.forms import SuppressForm
from campaigns.models import Suppression
from mailboxes.pages.access import current_workspace, person, private
from mailboxes.pages.client import words_of

PAGE = 50


@private
def suppressed(request: HttpRequest) -> HttpResponse:
    """The list; POST adds one."""
    workspace, words = current_workspace(request), words_of(request)
    form = SuppressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"]
        is_new = suppress(workspace, email, acting_user=person(request), now=timezone.now())
        words = "is written to no more" if is_new else "stood on the list already"
        messages.success(request, f"{email} {words}.")
        return redirect("suppressed")
    rows = Suppression.objects.filter(workspace=workspace).order_by("-added_at", "-pk")
    rows = rows.filter(email__icontains=words) if words else rows
    context = {
        "workspace": workspace,
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "form": form,
        "words": words,
        "query": urlencode({"q": words} if words else {}),
    }
    return render(request, "pages/suppressed.html", context)
