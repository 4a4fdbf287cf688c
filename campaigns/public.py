"""What recipients of campaign mail reach: unsubscribing by one click, and the picture that counts an open. Without
cookie, login or redirect (RFC 8058), whatever has become of the mailbox that wrote."""

from __future__ import annotations

import base64

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.changes import unsubscribe as never_again
from campaigns.models import Lead
from campaigns.tokens import lead_of

# One transparent pixel.
_PICTURE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


# No session is used: a mail program that posts for its reader has none, and the signed address is the permission.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """A page with one button; POST, from it or from a mail program, unsubscribes. Looking alone does nothing, since
    programs look at every link."""
    lead = lead_of(token, "unsubscribe")
    if lead is None:
        return render(request, "pages/unsubscribe.html", {"is_unknown": True}, status=404)
    if request.method == "POST":
        never_again(lead, timezone.now())
        lead.refresh_from_db()
    done = lead.state == Lead.State.UNSUBSCRIBED
    response = render(request, "pages/unsubscribe.html", {"email": lead.email, "is_done": done})
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@never_cache
@require_safe
def opened(request: HttpRequest, token: str) -> HttpResponse:
    """The picture, also for an address that is none of ours: it tells nothing."""
    lead = lead_of(token, "opened")
    if lead is not None and lead.campaign.track_opens and request.method == "GET":
        Lead.objects.filter(pk=lead.pk, opened_at__isnull=True).update(opened_at=timezone.now())
    return HttpResponse(_PICTURE, content_type="image/gif")
