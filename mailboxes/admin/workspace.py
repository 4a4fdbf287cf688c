"""Workspaces and their members."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import InvalidToken
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from mailboxes.admin.base import ModelAdmin, TabularInline
from mailboxes.models import Membership, Workspace


class MembershipInline(TabularInline[Membership, Workspace]):
    model = Membership
    extra = 0
    fields = ("user", "role")
    autocomplete_fields = ("user",)


@admin.register(Workspace)
class WorkspaceAdmin(ModelAdmin[Workspace]):
    list_display = ("name", "mailbox_count", "created_at")
    search_fields = ("name",)
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        return super().get_queryset(request).annotate(count=Count("mailboxes"))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What would go with it; nothing goes while stored secrets cannot be read: a lost key may yet be found."""
        try:
            return super().get_deleted_objects(objs, request)
        except InvalidToken:
            return [], {}, set(), ["mailboxes whose secrets cannot be read: restore FERNET_KEYS first"]

    @admin.display(description="mailboxes", ordering="count")
    def mailbox_count(self, obj: Workspace) -> int:
        return int(getattr(obj, "count", 0))
