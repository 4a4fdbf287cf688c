"""Write a campaign, or change it, also while it runs (SPEC K1)."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from campaigns import deeds
from campaigns.forms import ZONES, CampaignForm, Steps, sent_steps
from campaigns.lacking import warning
from campaigns.models import Campaign
from campaigns.pages.access import campaign_for
from mailboxes.pages.access import acts_as_staff, current_workspace, person, private
from mailboxes.rights import Deed


@private
def new(request: HttpRequest) -> HttpResponse:
    """A draft in the current workspace."""
    return _form(request, Campaign(workspace=current_workspace(request)))


@private
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """One that is there."""
    return _form(request, campaign_for(request, pk, Deed.WRITE_CAMPAIGN))


def _form(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    name = campaign.name
    data = request.POST if request.method == "POST" else None
    form = CampaignForm(data, instance=campaign, workspace=campaign.workspace)
    steps = Steps(data, campaign=campaign)
    # Both are looked through, so that all errors are told at once.
    if data is not None and all([form.is_valid(), steps.is_valid()]):
        values = [_values(one.cleaned_data) for one in steps.kept]
        chosen = form.cleaned_data["mailboxes"]
        deeds.write(form.instance, list(chosen), values, acting_user=person(request), now=timezone.now())
        messages.success(request, "Saved.")
        if told := warning(form.instance):
            messages.warning(request, told)
        return redirect("campaign", campaign.pk)
    context = {
        "campaign": campaign,
        "name": name,
        "workspace": campaign.workspace,
        "as_staff": acts_as_staff(request, campaign.workspace),
        "form": form,
        "steps": steps,
        "sent": sent_steps(campaign),
        "zones": ZONES,
    }
    return render(request, "pages/campaign_form.html", context)


def _values(cleaned: dict[str, object]) -> dict[str, object]:
    return {name: cleaned[name] for name in ("wait_days", "subject", "body")}
