"""Leads from a CSV file: the file is checked first; chosen once more, and being the same, it is imported (SPEC K1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from campaigns import deeds, importing
from campaigns.admin.forms import LeadsFileForm
from campaigns.models import Campaign
from mailboxes.admin.badges import page_url
from mailboxes.admin.base import staff
from mailboxes.rights import STAFF, Deed

ADD = STAFF[Deed.IMPORT_LEADS]
MOST_SHOWN = 100


def import_leads(model_admin: ModelAdmin[Any]) -> Callable[..., HttpResponse]:
    """The page, in the admin's frame."""

    def view(request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.has_perm(ADD):
            raise PermissionDenied
        campaign = get_object_or_404(Campaign, pk=pk)
        form = LeadsFileForm(request.POST, request.FILES) if request.method == "POST" else LeadsFileForm()
        found: dict[str, Any] = {}
        if form.is_bound and form.is_valid():
            try:
                found = _looked_at(request, campaign, form)
            except importing.Unreadable as fault:
                form.add_error("file", str(fault))
        if found.get("is_done"):
            return redirect(page_url(campaign))
        frame = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, "original": campaign}
        context = frame | {"title": f"Leads for {campaign}", "campaign": campaign, "form": form} | found
        return TemplateResponse(request, "admin/campaigns/campaign/import.html", context)

    return view


def _looked_at(request: HttpRequest, campaign: Campaign, form: LeadsFileForm) -> dict[str, Any]:
    """Import the file where it is the one that was checked; else check it. Raises Unreadable."""
    data = form.cleaned_data["file"].read(importing.MOST_BYTES + 1)
    name = hashlib.sha256(data).hexdigest()
    if form.cleaned_data["checked"] == name:
        done = deeds.bring(data, campaign, acting_user=staff(request), now=timezone.now())
        messages.success(request, f"{len(done.good)} leads imported, {done.bad_lines} lines left out.")
        return {"is_done": True}
    read = importing.read(data, campaign)
    return {"read": read, "bad": read.bad[:MOST_SHOWN], "checked": name, "is_other": bool(form.cleaned_data["checked"])}
