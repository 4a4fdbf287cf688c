"""Workspaces and their members."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import InvalidToken
from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Count, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils import timezone

from mailboxes.admin.base import ModelAdmin, TabularInline
from mailboxes.members import end_invitations_by, note
from mailboxes.models import Membership, Workspace

NOT_ONESELF = "Nobody gives themselves a place with a customer, or another role there: ask a superuser."


class MembershipForms(BaseInlineFormSet[Membership, Workspace, forms.ModelForm[Membership]]):
    """Places in the workspace, of others than whoever fills this in (SEC-14)."""

    request: HttpRequest  # set by the admin, on the class it makes for one request

    def clean(self) -> None:
        """Superusers may everything anyway."""
        super().clean()
        for form in () if self.request.user.is_superuser else self.forms:
            is_own = self.request.user.pk in (form.instance.user_id, form.initial.get("user"))
            if is_own and form.has_changed() and not form.cleaned_data.get("DELETE"):
                form.add_error(None, NOT_ONESELF)


class MembershipInline(TabularInline[Membership, Workspace]):
    model = Membership
    formset = MembershipForms
    extra = 0
    readonly_fields = ("person",)
    autocomplete_fields = ("user",)

    def get_fields(self, request: HttpRequest, obj: Workspace | None = None) -> tuple[str, ...]:
        """Whoever may not open users gets names, and no links to a refusal."""
        opens_users = request.user.has_perm("auth.view_user") or request.user.has_perm("auth.change_user")
        return ("user", "role") if opens_users else ("person", "role")

    @admin.display(description="user")
    def person(self, obj: Membership) -> str:
        return obj.user.get_username()

    def get_formset(self, request: HttpRequest, obj: Workspace | None = None, **kwargs: Any) -> Any:
        """The forms know who fills them in."""
        return type("OwnForms", (super().get_formset(request, obj, **kwargs),), {"request": request})


@admin.register(Workspace)
class WorkspaceAdmin(ModelAdmin[Workspace]):
    list_display = ("name", "mailbox_count", "created_at")
    search_fields = ("name",)
    inlines = (MembershipInline,)
    audited_values = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        return super().get_queryset(request).annotate(count=Count("mailboxes"))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Each place is a row of the audit log."""
        before = dict(Membership.objects.filter(workspace=form.instance).values_list("pk", "role"))
        super().save_formset(request, form, formset, change)
        user, now = request.user, timezone.now()
        assert isinstance(user, User)
        for place in formset.new_objects:
            note(place, "member added", place.role, acting_user=user, now=now)
        for place, _fields in formset.changed_objects:
            note(place, "role changed", f"{before.get(place.pk, '')} → {place.role}", acting_user=user, now=now)
            if place.role != Membership.Role.OWNER:
                end_invitations_by(place, now)
        for place in formset.deleted_objects:
            note(place, "member removed", place.role, acting_user=user, now=now)
            end_invitations_by(place, now)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What would go with it; nothing goes while stored secrets cannot be read: a lost key may yet be found."""
        try:
            return super().get_deleted_objects(objs, request)
        except InvalidToken:
            return [], {}, set(), ["mailboxes whose secrets cannot be read: restore FERNET_KEYS first"]

    @admin.display(description="mailboxes", ordering="count")
    def mailbox_count(self, obj: Workspace) -> int:
        return int(getattr(obj, "count", 0))
