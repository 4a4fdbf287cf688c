"""Which campaign a person may act on (SPEC S5)."""

from __future__ import annotations

from django.http import Http404, HttpRequest

from campaigns.models import Campaign
from mailboxes.pages.access import require
from mailboxes.rights import Deed


def campaign_for(request: HttpRequest, pk: int, deed: Deed) -> Campaign:
    """A campaign that the person may do it to. Raises Http404 for one that they may not see, else PermissionDenied."""
    found = Campaign.objects.select_related("workspace", "changed_by").filter(pk=pk).first()
    if found is None:
        raise Http404
    require(request, found.workspace_id, deed, seen_by=Deed.SEE_CAMPAIGN)
    return found
