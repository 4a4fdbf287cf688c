"""Users and groups in the admin's own look."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice
from social_django.models import Association, Nonce, UserSocialAuth
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from mailboxes.admin.base import ModelAdmin
from mailboxes.models import CodeDevice

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
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin, ModelAdmin[Group]):
    pass


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
