"""Signing in and out, recovery, and members (SPEC U6, S6). Django's own views; one answer to every wrong sign-in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import login, password_validation, views
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from mailboxes import account_mail
from mailboxes import members as membership
from mailboxes.limits import Limited
from mailboxes.models import AuditEntry, Invitation, Membership, Workspace
from mailboxes.pages.access import current_workspace, owner_only, person, private
from mailboxes.pages.client import source_of

LONGEST_NAME = 150  # the invited address becomes the user name, for which Django has so many characters
BACKEND = "mailboxes.pages.signing_in.ThrottledBackend"


class SignInForm(AuthenticationForm):
    """Members sign in by their email address."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["username"].label = "Email address"

    def clean_username(self) -> str:
        """Addresses are kept in lower case; the names of staff are none."""
        name: str = self.cleaned_data["username"]
        return name.lower() if "@" in name else name


class SignIn(views.LoginView):
    """`next` is followed within this site only (Django's own check)."""

    template_name = "pages/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class Recover(views.PasswordResetView):
    """The same answer whether the address is known or not."""

    template_name = "pages/recover.html"
    success_url = reverse_lazy("recover-sent")

    def form_valid(self, form: Any) -> HttpResponse:
        """Only write down that it was asked for: a worker looks for the address."""
        account_mail.ask_recovery(form.cleaned_data["email"], source_of(self.request), timezone.now())
        return redirect(self.success_url)


class RecoverSent(views.PasswordResetDoneView):
    """Where to look for the mail."""

    template_name = "pages/recover_sent.html"


class NewPassword(views.PasswordResetConfirmView):
    """By the link of the mail, once."""

    template_name = "pages/new_password.html"
    success_url = reverse_lazy("sign-in")

    def form_valid(self, form: Any) -> HttpResponse:
        """With its row in the audit log."""
        response = super().form_valid(form)
        user, now = form.user, timezone.now()
        AuditEntry.objects.create(actor=user, action="password set by link", target=user.get_username(), at=now)
        return response


class InviteForm(forms.Form):
    """Whom, and as what."""

    email = forms.EmailField(label="Email address", max_length=LONGEST_NAME)
    role = forms.ChoiceField(label="Role", choices=Membership.Role.choices, initial=Membership.Role.MEMBER)


class JoinForm(forms.Form):
    """A new member's password."""

    password = forms.CharField(label="Choose a password", widget=forms.PasswordInput(render_value=False), strip=False)

    def clean_password(self) -> str:
        """As strong as Django's validators want it."""
        password: str = self.cleaned_data["password"]
        password_validation.validate_password(password)
        return password


@private
def members(request: HttpRequest) -> HttpResponse:
    """Who is in the workspace; its owner invites others."""
    workspace, now = current_workspace(request), timezone.now()
    form = InviteForm(request.POST or None)
    if request.method == "POST":
        owner_only(request, workspace)
        if form.is_valid() and _invited(request, workspace, form):
            messages.success(request, f"The invitation is on its way to {form.cleaned_data['email']}.")
            return redirect("members")
    open_now = Invitation.objects.filter(workspace=workspace, accepted_at__isnull=True, expires_at__gt=now)
    is_owner = Membership.objects.filter(workspace=workspace, user=person(request), role=Membership.Role.OWNER).exists()
    context = {
        "workspace": workspace,
        "members": Membership.objects.filter(workspace=workspace)
        .select_related("user")
        .order_by("role", "user__email"),
        "invitations": open_now.order_by("-invited_at") if is_owner else [],
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


@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """A place offered: join as who is signed in, or with a new password; a known address signs in first."""
    found = membership.open_invitation(token, timezone.now())
    if found is None:
        return render(request, "pages/invitation_over.html", status=404)
    known = User.objects.filter(username__iexact=found.email).exists()
    form = JoinForm(request.POST or None)
    if request.method == "POST":
        response = _join(request, found, form, known=known)
        if response is not None:
            return response
    context = {"invitation": found, "form": form, "known": known, "here": request.path}
    return render(request, "pages/invitation.html", context)


def _join(request: HttpRequest, found: Invitation, form: JoinForm, *, known: bool) -> HttpResponse | None:
    now = timezone.now()
    if isinstance(request.user, User):
        membership.accept(found, request.user, now=now)
        request.session["workspace"] = found.workspace_id
        return redirect("mailboxes")
    if known or not form.is_valid():
        return None
    if len(found.email) > LONGEST_NAME:
        form.add_error("password", f"{found.email} is too long for a user name: ask to be invited by another address.")
        return None
    user = membership.sign_up(found, form.cleaned_data["password"], now=now)
    if user is not None:
        login(request, user, backend=BACKEND)
    return redirect("mailboxes")
