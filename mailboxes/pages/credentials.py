"""Update credentials, and connect a new mailbox: the form, its warnings, and the way into the test (C2 to C6)."""

from __future__ import annotations

import threading
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from mailboxes.health.explaining import explain_one
from mailboxes.health.outgoing import from_settings
from mailboxes.limits import Limited, take
from mailboxes.models import Mailbox, Trial, Workspace
from mailboxes.pages.access import acts_as_staff, current_workspace, mailbox_for, person, private, workspace_for
from mailboxes.pages.client import is_live, number, source_of
from mailboxes.pages.forms import CredentialsForm, initial_of, initial_of_place
from mailboxes.pages.mailbox import sign_in_for
from mailboxes.providers.discovery import Found, Origin, discover
from mailboxes.providers.presets import by_address, by_id
from mailboxes.reconnect.limits import LOOKUPS
from mailboxes.reconnect.oauth.registrations import for_family, registration
from mailboxes.reconnect.settings import server_settings
from mailboxes.reconnect.trials import Wish, begin
from mailboxes.wording import advice_for

# A quarter of the web server's threads (`gunicorn.conf.py`).
LOOK_UP_PLACES = threading.BoundedSemaphore(4)


@private
def credentials(request: HttpRequest, pk: int) -> HttpResponse:
    """ "Update credentials" of a mailbox (R1): only what is typed here changes, and only after a test."""
    found = mailbox_for(request, pk)
    form = CredentialsForm(
        request.POST or None,
        address=found.address,
        provider=found.provider,
        mailbox=found,
        initial=initial_of(found),
    )
    if request.method == "POST":
        return _tried(request, form, found.workspace, found)
    return _form_page(request, form, found.workspace, found)


@private
def connect(request: HttpRequest) -> HttpResponse:
    """Connect a mailbox: the address first; it tells the provider, and with it the way."""
    workspace = _workspace(request)
    address = (request.POST.get("address") or request.GET.get("address") or "").strip()[:254].lower()
    fault = address_fault(address) if address else ""
    if not address or fault:
        return render(request, "pages/connect.html", {"workspace": workspace, "address": address, "fault": fault})
    known = Mailbox.objects.present().of_address(address).filter(workspace=workspace).first()
    if known is not None:
        return redirect("mailbox", known.pk)
    if request.method == "POST":
        form = CredentialsForm(request.POST, address=address, provider=request.POST.get("provider", ""))
        return _tried(request, form, workspace, None)
    try:
        take(LOOKUPS, str(person(request).pk), timezone.now(), "within a minute")
    except Limited as limited:
        fault = limited.words(timezone.now())
        return render(request, "pages/connect.html", {"workspace": workspace, "address": address, "fault": fault})
    found = _look_up(address)
    provider = found.preset.id if found.preset else ""
    form = CredentialsForm(None, address=address, provider=provider, initial=initial_of_place(place_of(found)))
    return _form_page(request, form, workspace, None, found)


def _look_up(address: str) -> Found:
    """Return what is found of a new mailbox's servers.

    A look-up takes up to 8 s of others' name servers, and must leave threads for every other page: where all places are
    taken the form is filled in by hand.
    """
    if by_address(address) is None and not LOOK_UP_PLACES.acquire(blocking=False):
        return Found(Origin.NOTHING)
    try:
        return discover(address, from_settings().mail.resolver, from_settings().tokens)
    finally:
        if by_address(address) is None:
            LOOK_UP_PLACES.release()


def place_of(found: Found) -> dict[str, Any]:
    """What was found as settings; the usual ports where nothing was."""
    place: dict[str, Any] = {"imap_folder": "INBOX"}
    for leg, endpoint, username in (
        ("smtp", found.smtp, found.smtp_username),
        ("imap", found.imap, found.imap_username),
    ):
        send_only = found.preset is not None and found.preset.send_only
        place[f"wants_{leg}"] = leg == "smtp" or not send_only
        if endpoint is not None:
            place |= server_settings(leg, endpoint) | {f"{leg}_username": username}
    return place


def _workspace(request: HttpRequest) -> Workspace:
    """The person's own; staff name the customer's."""
    wanted = number(request.GET.get("workspace") or request.POST.get("workspace") or "")
    return workspace_for(request, wanted) if wanted else current_workspace(request)


def address_fault(address: str) -> str:
    """What is wrong with an address as it was typed; "" for nothing."""
    try:
        validate_email(address)
    except ValidationError:
        return "Type the whole address, as in anna@example.com."
    return ""


def _tried(request: HttpRequest, form: CredentialsForm, workspace: Workspace, mailbox: Mailbox | None) -> HttpResponse:
    """Errors and warnings back to the form, else into the test."""
    if not form.is_valid() or form.unseen_warnings(workspace.pk):
        return _form_page(request, form, workspace, mailbox)
    test_only = request.POST.get("then") == "nothing"
    wish = Wish(workspace, form.address, form.place, form.secret, mailbox, source_of(request), test_only)
    try:
        trial = begin(wish, acting_user=person(request), now=timezone.now())
    except Limited as limited:
        form.add_error(None, limited.words(timezone.now()))
        return _form_page(request, form, workspace, mailbox)
    url = reverse("trial", args=[trial.pk])
    return HttpResponse(headers={"HX-Redirect": url}) if is_live(request) else redirect(url)


def _form_page(
    request: HttpRequest,
    form: CredentialsForm,
    workspace: Workspace,
    mailbox: Mailbox | None,
    found: Found | None = None,
) -> HttpResponse:
    notes = {name: [str(error) for error in errors] for name, errors in form.errors.items()}
    context = {
        "form": form,
        "fields": [_shown(form, bound.name, notes) for bound in form],
        "fault": notes.get("__all__", []),
        "mailbox": mailbox,
        "workspace": workspace,
        "address": form.address,
        "preset": form.preset,
        "found": found,
        "nothing_found": found is not None and found.origin is Origin.NOTHING,
        "sign_in": _sign_in(form, mailbox),
        "other_sign_ins": [known for name in ("google", "microsoft") if (known := for_family(name))],
        "as_staff": acts_as_staff(request, workspace),
        "open_servers": _servers_open(form, mailbox),
        "folders": _folders(workspace, form.address),
    }
    template = "pages/credentials_notes.html" if is_live(request) else "pages/credentials.html"
    return render(request, template, context, status=200 if is_live(request) or not form.errors else 422)


def _folders(workspace: Workspace, address: str) -> list[str]:
    """The server's own folders, as the last test of this address read them (C5)."""
    last = Trial.objects.filter(workspace=workspace, address__iexact=address).order_by("-asked_at").first()
    return list(last.folders) if last else []


def _shown(form: CredentialsForm, name: str, notes: dict[str, list[str]]) -> dict[str, Any]:
    warned = [warning.text for warning in form.warnings if warning.field == name]
    return {"bound": form[name], "name": name, "errors": notes.get(name, []), "warnings": warned}


def _sign_in(form: CredentialsForm, mailbox: Mailbox | None) -> Any:
    """The sign-in at the provider, where it has one and we are registered there."""
    if mailbox is not None:
        advice = advice_for(mailbox, oauth=False, explained=explain_one(mailbox))
        return sign_in_for(mailbox, advice, oauth=False) or _by_preset(mailbox.provider)
    return _by_preset(form.preset.id if form.preset else "")


def _by_preset(provider: str) -> Any:
    preset = by_id(provider)
    if preset is None or "oauth2" not in preset.auth or registration(preset.family) is None:
        return None
    return for_family(preset.family)


def _servers_open(form: CredentialsForm, mailbox: Mailbox | None) -> bool:
    """The servers are folded away where a preset fills them and nothing is wrong with them."""
    at_servers = any(name not in ("password", "__all__") for name in form.errors)
    at_servers |= any(warning.field != "password" for warning in form.warnings)
    return at_servers or form.preset is None or (mailbox is not None and mailbox.settings_fault)
