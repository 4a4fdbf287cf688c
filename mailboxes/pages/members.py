"""The members of a workspace: everybody in it sees them; its owners invite, change and remove them (SPEC U6, SEC-8)."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailboxes import account_mail
from mailboxes import members as membership
from mailboxes.limits import Limited
from mailboxes.models import Invitation, Membership, Workspace
from mailboxes.pages.access import current_workspace, may_do, owner_only, person, private
from mailboxes.pages.account import LONGEST_NAME
from mailboxes.rights import Deed

Role = Membership.Role


class InviteForm(forms.Form):
    """Whom, and as what."""

    email = forms.EmailField(label="Email address", max_length=LONGEST_NAME)
    role = forms.ChoiceField(label="Role", choices=Membership.Role.choices, initial=Membership.Role.MEMBER)


@private
def members(request: HttpRequest) -> HttpResponse:
    """Who is in the workspace; its owner invites others."""
    workspace = current_workspace(request)
    form = InviteForm(request.POST or None)
    if request.method == "POST":
        owner_only(request, workspace)
        if form.is_valid() and _invited(request, workspace, form):
            messages.success(request, f"The invitation is on its way to {form.cleaned_data['email']}.")
            return redirect("members")
    is_owner = may_do(request, workspace.pk, Deed.MANAGE_MEMBERS)
    open_now = membership.open_invitations(timezone.now()).filter(workspace=workspace).order_by("-invited_at")
    listed = Membership.objects.filter(workspace=workspace).select_related("user")
    context = {
        "workspace": workspace,
        "members": listed.order_by("-role", "user__email", "user__username"),
        "invitations": open_now if is_owner else [],
        "is_owner": is_owner,
        "form": form,
    }
    return render(request, "pages/members.html", context)


def _invited(request: HttpRequest, workspace: Workspace, form: InviteForm) -> bool:
    """Invite. False where it was done too often, which the form then says."""
    values, now = form.cleaned_data, timezone.now()
    try:
        account_mail.invite(workspace, values["email"], role=values["role"], acting_user=person(request), now=now)
    except membership.TooMany:
        form.add_error("email", f"{membership.MOST_OPEN} invitations are open: withdraw some first.")
        return False
    except Limited as limited:
        form.add_error("email", limited.words(now))
        return False
    return True


@private
@require_POST
def withdraw_invitation(request: HttpRequest, pk: int) -> HttpResponse:
    """The link ends."""
    workspace = current_workspace(request)
    owner_only(request, workspace)
    found = get_object_or_404(Invitation, pk=pk, workspace=workspace)
    membership.withdraw(found, acting_user=person(request), now=timezone.now())
    messages.success(request, f"The invitation of {found.email} was withdrawn.")
    return redirect("members")


@private
@require_POST
def change_role(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a member an owner, or an owner a member."""
    place = _place_for(request, pk)
    role = Role.OWNER if request.POST.get("role") == Role.OWNER else Role.MEMBER
    try:
        membership.change_role(place, role, acting_user=person(request), now=timezone.now())
    except membership.Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{_called(place)} is now {'an owner' if role == Role.OWNER else 'a member'}.")
    return redirect("members")


@private
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take somebody out of the workspace, after a question."""
    place = _place_for(request, pk)
    is_self = place.user == person(request)
    if request.method != "POST":
        context = {"place": place, "workspace": place.workspace, "called": _called(place), "is_self": is_self}
        return render(request, "pages/member_remove.html", context)
    try:
        membership.remove(place, acting_user=person(request), now=timezone.now())
    except membership.Refused as refused:
        messages.error(request, str(refused))
        return redirect("members")
    messages.success(request, f"{_called(place)} is no longer a member of {place.workspace.name}.")
    return redirect("home" if is_self else "members")


def _place_for(request: HttpRequest, pk: int) -> Membership:
    """A place in a workspace that the person owns. Raises Http404 for every other."""
    place = get_object_or_404(Membership.objects.select_related("user", "workspace"), pk=pk)
    owner_only(request, place.workspace)
    return place


def _called(place: Membership) -> str:
    return place.user.email or place.user.get_username()
