"""The consent at Google or Microsoft: the button, the way back, and a page for each refusal (SPEC C1, R2)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from mailboxes.models import AuditEntry, Mailbox, Workspace
from mailboxes.pages.access import mailbox_for, person, private, workspace_for
from mailboxes.pages.client import number, source_of
from mailboxes.pages.credentials import address_fault
from mailboxes.reconnect.oauth import flows
from mailboxes.reconnect.oauth.flows import Flow
from mailboxes.reconnect.oauth.identity import SignInAs
from mailboxes.reconnect.oauth.refusals import Refused, Why
from mailboxes.reconnect.oauth.registrations import client, registration
from mailboxes.rights import Deed

_STATUS = {Why.STATE: 403, Why.OURS: 503, Why.PROVIDER: 502}


@private
@require_POST
def start(request: HttpRequest, provider: str) -> HttpResponse:
    """Off to the provider, for one mailbox, or for a new one of an address."""
    if registration(provider) is None or client(provider) is None:
        raise Http404
    workspace, mailbox, address = _asked(request)
    sign_in_as = request.POST.get("sign_in_as", SignInAs.OWNER)
    flow = Flow(
        provider=provider,
        user=person(request).pk,
        workspace=workspace.pk,
        mailbox=mailbox.pk if mailbox else 0,
        address=address,
        sign_in_as=sign_in_as if sign_in_as in list(SignInAs) else SignInAs.OWNER,
        begun_at=timezone.now().isoformat(),
    )
    try:
        return flows.start(request, flow, reverse("consent-complete", args=[provider]))
    except Refused as refused:  # our own registration has a fault
        return _refuse(request, provider, flow, refused)


@never_cache
@require_GET
def complete(request: HttpRequest, provider: str) -> HttpResponse:
    """Back from the provider. The code leaves the address bar at once: a redirect, or a page without a link outside."""
    if registration(provider) is None:
        raise Http404
    flow = flows.under_way(request, provider)
    try:
        if not request.user.is_authenticated:
            raise Refused(Why.STATE)
        trial = flows.finish(
            request,
            provider,
            reverse("consent-complete", args=[provider]),
            mailbox_of=lambda begun: _still_mine(request, begun),
            source_ip=source_of(request),
            now=timezone.now(),
        )
    except Refused as refused:
        response = _refuse(request, provider, flow, refused)
    else:
        response = redirect("trial", trial.pk)
    response.headers["Referrer-Policy"] = "strict-origin"  # as on the administrator's page: the origin alone
    return response


def _refuse(request: HttpRequest, provider: str, flow: Flow | None, refused: Refused) -> HttpResponse:
    _audit(request, flow, refused)
    mine = flow if flow and request.user.is_authenticated and flow.user == request.user.pk else None
    context = {"refused": refused, "why": refused.why.value, "provider": registration(provider), "flow": mine}
    return render(request, "pages/refused.html", context, status=_STATUS.get(refused.why, 400))


def _audit(request: HttpRequest, flow: Flow | None, refused: Refused) -> None:
    """What was refused is remembered, without a word of the provider's (FACTS D19)."""
    if request.user.is_authenticated:
        mailbox_id = flow.mailbox if flow and flow.user == request.user.pk and flow.mailbox else None
        detail = f"{refused.why}: signed in as {refused.signed_in_as}" if refused.signed_in_as else str(refused.why)
        AuditEntry.objects.create(
            actor=person(request), action="consent refused", mailbox_id=mailbox_id, detail=detail[:200]
        )


def _asked(request: HttpRequest) -> tuple[Workspace, Mailbox | None, str]:
    mailbox = number(request.POST.get("mailbox", ""))
    if mailbox:
        found = mailbox_for(request, mailbox)
        return found.workspace, found, found.address
    workspace, address = number(request.POST.get("workspace", "")), request.POST.get("address", "").strip().lower()
    if not workspace or address_fault(address):
        raise Http404
    return *_place(request, workspace, address), address


def _still_mine(request: HttpRequest, flow: Flow) -> tuple[Workspace, Mailbox | None]:
    if flow.mailbox:
        found = mailbox_for(request, flow.mailbox)
        return found.workspace, found
    return _place(request, flow.workspace, flow.address)


def _place(request: HttpRequest, workspace: int, address: str) -> tuple[Workspace, Mailbox | None]:
    """The mailbox of this address, if there is one: its pinned identity holds whatever the button said. Raises Http404
    for whoever may not reconnect it, or connect a new one there."""
    known = Mailbox.objects.present().of_address(address).filter(workspace_id=workspace).first()
    deed = Deed.CONNECT_MAILBOX if known is None else Deed.RECONNECT_MAILBOX
    return workspace_for(request, workspace, deed), known
