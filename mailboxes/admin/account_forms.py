"""The forms of users and groups. An email address is asked for: links for a new password go there (UX-5)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest
from unfold.forms import UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminEmailInputWidget

from mailboxes.admin.standing import GIVES_OWN_ALONE, beyond_own, own_groups, own_permissions

NO_EMAIL = "Enter an email address: without one nobody can set a new password by mail."
NAME_HELP = "Customers sign in with their email address: enter it here. Staff can have a short name."
EMAIL_HELP = "Links for a new password are sent here. Leave it empty where the user name is the email address."


class _Own:
    """Given and taken is only what whoever fills in the form may do themselves."""

    request: HttpRequest  # set by the admin, on the class it makes for one request
    own_of = {"groups": own_groups, "user_permissions": own_permissions, "permissions": own_permissions}

    def refuse_beyond_own(self, values: dict[str, Any]) -> None:
        """An error at the field that goes too far."""
        for name, own in self.own_of.items():
            if name not in values:
                continue
            instance = self.instance  # type: ignore[attr-defined]  # a form's
            before = getattr(instance, name).all() if instance.pk else ()
            if beyond_own(before, values[name], own(self.request)):
                self.add_error(name, GIVES_OWN_ALONE)  # type: ignore[attr-defined]


def _name_and_email(form: forms.ModelForm[User], values: dict[str, Any]) -> None:
    """Addresses are kept in lower case, as they are typed at sign-in; the user name may be the address."""
    name, email = values.get("username") or "", values.get("email") or ""
    values["username"] = name = name.lower() if "@" in name else name
    if not email and _is_address(name):
        values["email"] = name
    elif not email and "email" not in form.errors:
        form.add_error("email", NO_EMAIL)


def _is_address(name: str) -> bool:
    try:
        validate_email(name)
    except ValidationError:
        return False
    return True


class AddUserForm(UserCreationForm):  # type: ignore[misc]  # the theme ships no types
    """Name, address and a first password."""

    email = forms.EmailField(
        label="Email address", required=False, help_text=EMAIL_HELP, widget=UnfoldAdminEmailInputWidget
    )

    class Meta:
        model = User
        fields = ("username", "email")
        help_texts = {"username": NAME_HELP}

    def clean(self) -> dict[str, Any]:
        """See `_name_and_email`."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        _name_and_email(self, values)
        return values


class ChangeUserForm(_Own, UserChangeForm):  # type: ignore[misc]
    """Of a user who is there."""

    class Meta(UserChangeForm.Meta):  # type: ignore[misc]
        help_texts = {"username": NAME_HELP, "email": EMAIL_HELP}

    def clean(self) -> dict[str, Any]:
        """See `_name_and_email`, and `_Own`."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        _name_and_email(self, values)
        self.refuse_beyond_own(values)
        return values


class GroupForm(_Own, forms.ModelForm[Group]):
    """A group's name and what its members may do."""

    def clean(self) -> dict[str, Any]:
        """See `_Own`."""
        values = super().clean() or self.cleaned_data
        self.refuse_beyond_own(values)
        return values
