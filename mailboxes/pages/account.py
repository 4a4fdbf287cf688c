"""Signing in and out, recovery, and taking an invitation (SPEC U6, S6). Django's own views; one answer to every wrong
sign-in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import login, password_validation, views
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.views.decorators.cache import never_cache

from mailboxes import account_mail
from mailboxes import members as membership
from mailboxes.models import AuditEntry, Invitation
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


class JoinForm(forms.Form):
    """A new member's password."""

    password = forms.CharField(label="Choose a password", widget=forms.PasswordInput(render_value=False), strip=False)

    def clean_password(self) -> str:
        """As strong as Django's validators want it."""
        password: str = self.cleaned_data["password"]
        password_validation.validate_password(password)
        return password


@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """A place offered: join as who is signed in, or with a new password; a known address signs in first."""
    found = membership.open_invitation(token, timezone.now())
    if found is None:
        return _over(request)
    if isinstance(request.user, User) and not membership.is_for(found, request.user):
        return render(request, "pages/invitation_not_yours.html", {"invitation": found}, status=403)
    known = membership.users_of(found).exists()
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
        if membership.accept(found, request.user, now=now) is None:
            return _over(request)
        request.session["workspace"] = found.workspace_id
        return redirect("mailboxes")
    if known or not form.is_valid():
        return None
    if len(found.email) > LONGEST_NAME:
        form.add_error("password", f"{found.email} is too long for a user name: ask to be invited by another address.")
        return None
    user = membership.sign_up(found, form.cleaned_data["password"], now=now)
    if user is None:
        return _over(request)
    login(request, user, backend=BACKEND)
    return redirect("mailboxes")


def _over(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/invitation_over.html", status=404)
