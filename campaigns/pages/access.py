"""Which campaign a person may act on (SPEC S5)."""

from __future__ import annotations

from django.http import Http404, HttpRequest

from campaigns.models import Campaign
from mailboxes.pages.access import workspace_for


def campaign_for(request: HttpRequest, pk: int) -> Campaign:
    """A campaign that the person may act on. Raises Http404 for every other, whether it is there or not."""
    found = Campaign.objects.select_related("workspace", "changed_by").filter(pk=pk).first()
    if found is None:
        raise Http404
    workspace_for(request, found.workspace_id)
    return found
