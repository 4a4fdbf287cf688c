"""Users and groups in the admin's own look. Whoever may change users gains nothing by it that they had not (SEC-14)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice
from social_django.models import Association, Nonce, UserSocialAuth
from unfold.forms import AdminPasswordChangeForm

from mailboxes.admin.account_forms import AddUserForm, ChangeUserForm, GroupForm
from mailboxes.admin.base import ModelAdmin, staff
from mailboxes.admin.standing import may_touch, own_permissions
from mailboxes.models import AuditEntry, CodeDevice

for _model in (
    User,
    Group,
    StaticDevice,
    UserSocialAuth,
    Nonce,
    Association,
):  # ours, and what shows codes or stays empty
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(User)
class StaffUserAdmin(UserAdmin[User], ModelAdmin[User]):
    form = ChangeUserForm
    add_form = AddUserForm
    change_password_form = AdminPasswordChangeForm
    add_fieldsets = (
        (
            None,
            {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")},
        ),
    )
    audited_values = ("username", "email", "is_active", "is_staff", "is_superuser", "groups", "user_permissions")

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form knows who fills it in."""
        return type("OwnForm", (super().get_form(request, obj, change=change, **kwargs),), {"request": request})

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Superusers are made by superusers."""
        return () if request.user.is_superuser else ("is_superuser",)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Password and email address too: either lets one sign in as the other."""
        return super().has_change_permission(request, obj) and may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and may_touch(request, obj)


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin, ModelAdmin[Group]):
    form = GroupForm
    audited_values = ("name", "permissions")

    def get_form(self, request: HttpRequest, obj: Group | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form knows who fills it in."""
        return type("OwnForm", (super().get_form(request, obj, change=change, **kwargs),), {"request": request})

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """With the group its members lose what it gave them."""
        if obj is not None and obj.permissions.exclude(pk__in=own_permissions(request)).exists():
            return False
        return super().has_delete_permission(request, obj)


@admin.register(CodeDevice)
class CodeDeviceAdmin(ModelAdmin[CodeDevice]):
    """For a lost phone: delete it, and its owner sets up another at the next sign-in. Its key is shown to nobody."""

    list_display = ("user", "name", "confirmed", "last_used_at")
    list_select_related = ("user",)
    fields = ("user", "name", "confirmed", "last_used_at")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: CodeDevice | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: CodeDevice | None = None) -> bool:
        """Only of whom one may change at all: else a password would be enough for a superuser's account."""
        return super().has_delete_permission(request, obj) and may_touch(request, obj.user if obj else None)


def own_password(request: HttpRequest) -> HttpResponse:
    """The admin's own page for a new password, and its row in the audit log."""
    response = admin.site.password_change(request)
    if request.method == "POST" and response.status_code == 302:
        AuditEntry.objects.create(actor_id=staff(request).pk, action="password changed", at=timezone.now())
    return response
