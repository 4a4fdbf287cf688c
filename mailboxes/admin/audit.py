"""The audit log: read, searched, and changed by nobody (SPEC S6, S9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin as DjangoModelAdmin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from mailboxes.admin.badges import page_link
from mailboxes.admin.base import LongAdmin, ReadOnlyAdmin
from mailboxes.admin.mail_filters import LatelyFilter
from mailboxes.models import AuditEntry

SIGN_INS = (
    "signed in", "sign-in failed", "sign-in refused", "second factor failed", "recovery code used",
    "recovery link sent",
)  # fmt: skip
ACCOUNTS = (
    "user added", "user changed", "user removed", "group added", "group changed", "group removed",
    "password changed", "password set by link", "second factor set up", "second factor removed",
    "second factor reset", "recovery codes made", "OAuth client added", "OAuth client changed", "OAuth client removed",
)  # fmt: skip
MEMBERS = (
    "member invited", "invitation withdrawn", "invitation accepted", "member added", "member removed", "role changed",
    "workspace added", "workspace changed", "workspace removed",
)  # fmt: skip
ABOUT = {"sign-ins": SIGN_INS, "accounts": ACCOUNTS, "members": MEMBERS}


class DoneFilter(LatelyFilter):
    title = "done"
    column = "at"


class AboutFilter(admin.SimpleListFilter):
    """What the deed was about; the table is not asked for its distinct actions."""

    title = "about"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: DjangoModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (
            ("sign-ins", "Sign-ins"),
            ("accounts", "Users, groups and OAuth clients"),
            ("members", "Workspaces and members"),
            ("mail", "Mailboxes, campaigns and the rest"),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        if self.value() == "mail":
            return queryset.exclude(action__in=(*SIGN_INS, *ACCOUNTS, *MEMBERS))
        return queryset.filter(action__in=ABOUT[self.value() or ""]) if self.value() in ABOUT else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(LongAdmin, ReadOnlyAdmin):
    """Names are those of the day: they stay when a user or a mailbox is gone."""

    list_display = ("when", "by", "action", "on", "detail")
    list_filter = (DoneFilter, AboutFilter)
    list_select_related = ("mailbox",)
    search_fields = ("actor_name", "target", "action")
    search_help_text = "The beginning of who did it, of what it was done to, or of what was done"
    ordering = ("-at", "-id")
    fields = ("when", "by", "action", "on", "detail")
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """By the indexes: as it was typed, and in small letters, as addresses are kept."""
        found, term = Q(), search_term.strip()
        for word in {term, term.lower()} - {""}:
            found |= Q(actor_name__startswith=word) | Q(target__startswith=word) | Q(action__startswith=word)
        return queryset.filter(found), False

    @admin.display(description="when", ordering="at")
    def when(self, obj: AuditEntry) -> str:
        """To the second."""
        return f"{obj.at:%-d %b %Y, %H:%M:%S} UTC"

    @admin.display(description="by", ordering="actor_name")
    def by(self, obj: AuditEntry) -> str:
        """Who did it; nobody is signed in where a password was wrong, or our own worker did it."""
        return obj.actor_name or "–"

    @admin.display(description="object", ordering="target")
    def on(self, obj: AuditEntry) -> SafeString | str:
        """What it was done to; a mailbox that is still there is a link."""
        return page_link(obj.mailbox) if obj.mailbox else obj.target or "–"
