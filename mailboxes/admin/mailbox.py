"""The mailbox list and page (SPEC A1 to A4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from mailboxes.admin import deeds, page
from mailboxes.admin.badges import CONFIRM_ADDRESS, badge
from mailboxes.admin.base import ModelAdmin, staff
from mailboxes.admin.filters import (
    ActorFilter,
    CauseFilter,
    ConfirmedFilter,
    FlappingFilter,
    HeldFilter,
    NeedsReconnectFilter,
    ProviderFilter,
    RemovedFilter,
    RestingFilter,
)
from mailboxes.admin.forms import MailboxForm
from mailboxes.health import asked, holds
from mailboxes.health.renewed import Busy
from mailboxes.models import AskedCheck, Mailbox
from mailboxes.models.mailbox import has_confirmed_address
from mailboxes.reconnect.credentials import Password
from mailboxes.reconnect.settings import SETTINGS, save
from mailboxes.wording import ago, cause_words, provider_name


def _time(text: str) -> datetime | None:
    """Where the timeline goes on; None for a text that is no time."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


@admin.register(Mailbox)
class MailboxAdmin(ModelAdmin[Mailbox]):
    """Status and cause are shown and never edited; secrets are written and never shown."""

    writes_own_audit = True
    form = MailboxForm
    list_display = ("state", "address", "cause", "actor_words", "since", "provider_words", "workspace", "last_check")
    list_display_links = ("address",)
    list_filter = (
        NeedsReconnectFilter, "status", CauseFilter, ActorFilter, ProviderFilter, HeldFilter, RestingFilter,
        ConfirmedFilter, FlappingFilter, RemovedFilter,
        ("workspace", AutocompleteSelectFilter),
    )  # fmt: skip
    list_select_related = ("workspace", "check_state")
    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counting each choice would scan the table
    search_fields = ("address",)
    search_help_text = "The beginning of an address, or a domain as in @example.com"
    ordering = ("-needs_reconnect", "-status_since", "address")
    actions = ("check_now", "pause", "resume")
    change_form_outer_before_template = "admin/mailboxes/mailbox/diagnosis.html"
    autocomplete_fields = ("workspace",)
    fieldsets = (
        (None, {"fields": ("workspace", "address", "provider")}),
        ("Sending (SMTP)", {"fields": ("wants_smtp", "smtp_host", ("smtp_port", "smtp_security"), "smtp_username")}),
        ("Reading (IMAP)", {"fields": ("wants_imap", "imap_host", ("imap_port", "imap_security"), "imap_username",
                                        "imap_folder")}),
        ("Credentials", {"fields": ("new_password", "new_imap_password")}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Mailbox]:
        under_way = AskedCheck.objects.filter(mailbox=OuterRef("pk"), done_at__isnull=True)
        return (
            super()
            .get_queryset(request)
            .annotate(being_checked=Exists(under_way), address_confirmed=has_confirmed_address())
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Mailbox], search_term: str
    ) -> tuple[QuerySet[Mailbox], bool]:
        term = search_term.strip()
        if term.startswith("@"):
            return queryset.filter(address__iendswith=term), False
        return queryset.filter(address__istartswith=term) if term else queryset, False

    def get_fieldsets(self, request: HttpRequest, obj: Mailbox | None = None) -> Any:
        """A new mailbox takes its password here; a stored one by "Update credentials", which tests it first (C6)."""
        return self.fieldsets if obj is None else self.fieldsets[:-1]

    def has_delete_permission(self, request: HttpRequest, obj: Mailbox | None = None) -> bool:
        """Not like this: "Remove" keeps the history (C9), and a cascade would not."""
        return False

    def get_urls(self) -> list[URLPattern]:
        return deeds.urls(self) + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        extra = page.context(found, timezone.now(), _time(request.GET.get("before", ""))) if found else {}
        return super().change_view(request, object_id, form_url, extra | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Mailbox, form: ModelForm[Mailbox], change: bool) -> None:
        assert isinstance(form, MailboxForm)
        values = form.cleaned_data
        password = None
        if form.secrets_given:
            password = Password(values.get("new_password") or None, values.get("new_imap_password") or "")
        for name in (*SETTINGS, "provider"):
            setattr(obj, name, values.get(name, getattr(obj, name)))
        changed = [
            *form.settings_changed,
            *(name for name in ("workspace", "address", "provider") if name in form.changed_data),
        ]
        try:
            save(obj, changed=changed, credential=password, acting_user=staff(request), now=timezone.now())
        except Busy as busy:
            messages.error(request, str(busy))

    # ---- columns

    @admin.display(description="status", ordering="status")
    def state(self, obj: Mailbox) -> SafeString:
        url = reverse("admin:mailboxes_mailbox_change", args=[obj.pk])
        words = "Paused · " + obj.badge if obj.held_since else obj.badge
        shown = [badge(words, url, "Open the diagnosis and what to do"), *page.state_badges(obj, timezone.now())]
        if not getattr(obj, "address_confirmed", True):
            shown.append(badge(CONFIRM_ADDRESS, title="Its owner has not confirmed the address yet (see its page)"))
        return format_html_join(" ", "{}", ((one,) for one in shown))

    @admin.display(description="cause", ordering="category")
    def cause(self, obj: Mailbox) -> str:
        return cause_words(obj.category)

    @admin.display(description="who must act", ordering="actor")
    def actor_words(self, obj: Mailbox) -> str:
        return obj.actor.capitalize() if obj.actor else "–"

    @admin.display(description="since", ordering="status_since")
    def since(self, obj: Mailbox) -> str:
        return ago(obj.status_since, timezone.now())

    @admin.display(description="provider", ordering="provider")
    def provider_words(self, obj: Mailbox) -> str:
        return provider_name(obj.provider)

    @admin.display(description="last check")
    def last_check(self, obj: Mailbox) -> str:
        if getattr(obj, "being_checked", False):
            return "under way…"
        state = getattr(obj, "check_state", None)
        return ago(state.last_check_at, timezone.now()) if state else "never"

    # ---- actions on many

    def has_check_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(deeds.CHECK)

    def has_hold_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(deeds.HOLD)

    @admin.action(description="Check now", permissions=["check"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        new = asked.ask(ids, acting_user=staff(request), now=timezone.now())
        messages.success(request, f"{new} checks asked for. “Last check” shows them under way, then their result.")

    @admin.action(description="Pause (a person's pause; still checked)", permissions=["hold"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        held = holds.hold(ids, reason="Paused from the list", acting_user=staff(request), now=timezone.now())
        messages.success(request, f"{held} paused.")

    @admin.action(description="Resume", permissions=["hold"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        released = holds.release(ids, acting_user=staff(request), now=timezone.now())
        messages.success(request, f"{released} resumed.")
