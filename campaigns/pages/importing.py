"""Leads from a CSV file: what it would add is shown first, and that very file is then imported (SPEC K1)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from campaigns import deeds, importing
from campaigns.forms import LeadsForm
from campaigns.models import Campaign, Step
from campaigns.pages.access import campaign_for
from campaigns.templating import names
from mailboxes.pages.access import acts_as_staff, person, private
from mailboxes.rights import Deed

SHOWN = 20
# The file travels with the page, packed and signed: nothing is stored before it is wanted.
MOST_PACKED = 2_000_000
SHOWN_FOR_S = 3600
_SALT = "campaigns.leads"


@private
def leads(request: HttpRequest, pk: int) -> HttpResponse:
    """The page: a file is checked, and then imported."""
    campaign = campaign_for(request, pk, Deed.IMPORT_LEADS)
    if "shown" in request.POST:
        return _keep(request, campaign)
    form = LeadsForm(request.POST, request.FILES) if request.method == "POST" else LeadsForm()
    found: dict[str, Any] = {}
    if form.is_bound and form.is_valid():
        try:
            found = _checked(form.cleaned_data["file"], campaign)
        except importing.Unreadable as fault:
            form.add_error("file", str(fault))
    return _page(request, campaign, form, found)


def _page(request: HttpRequest, campaign: Campaign, form: LeadsForm, found: dict[str, Any]) -> HttpResponse:
    texts = [step.subject + step.body for step in Step.objects.filter(campaign=campaign)]
    context = {
        "campaign": campaign,
        "workspace": campaign.workspace,
        "as_staff": acts_as_staff(request, campaign.workspace),
        "form": form,
        "wanted": sorted({name for text in texts for name in names(text)} - {"email"}),
        "shown_rows": SHOWN,
    }
    return render(request, "pages/campaign_leads.html", context | found)


def _checked(file: UploadedFile[Any], campaign: Campaign) -> dict[str, Any]:
    """What the file would add. Raises Unreadable."""
    data = file.read(importing.MOST_BYTES + 1)
    if b"\0" in data:
        raise importing.Unreadable("The file is not in UTF-8: save it again as “CSV UTF-8”.")
    read = importing.read(data, campaign)
    packed = signing.dumps([campaign.pk, data.decode()], salt=_SALT, compress=True)
    if len(packed) > MOST_PACKED:
        raise importing.Unreadable("The file is too large for one go: split it, and import one part after the other.")
    return {
        "read": read,
        "packed": packed,
        "file_name": file.name,
        "good": [(row, list(row.fields.items())) for row in read.good[:SHOWN]],
        "bad": read.bad[:SHOWN],
    }


def _keep(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Import what was shown."""
    try:
        pk, text = signing.loads(request.POST["shown"], salt=_SALT, max_age=SHOWN_FOR_S)
    except signing.BadSignature:
        pk, text = 0, ""
    if pk != campaign.pk:
        messages.error(request, "The check is over: choose the file once more. Nothing was imported.")
        return redirect("campaign-leads", campaign.pk)
    read = deeds.bring(text.encode(), campaign, acting_user=person(request), now=timezone.now())
    if read.good:
        messages.success(request, f"{len(read.good)} lead{'s' if len(read.good) != 1 else ''} imported.")
    else:
        messages.warning(request, "Nothing was imported: all of these leads are in the campaign already.")
    return redirect("campaign", campaign.pk)
