"""Leads, and the addresses that nobody writes to any more (SPEC K1, K2, K5, K6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from campaigns import doubtful
from campaigns.admin.forms import SuppressionForm
from campaigns.deeds import suppress
from campaigns.lacking import OPEN
from campaigns.models import Campaign, Lead, LeadMessage, Suppression
from mailboxes.admin.badges import badge, page_link
from mailboxes.admin.base import LongAdmin, ReadOnlyAdmin, TabularInline, staff
from mailboxes.admin.filters import ColumnFilter
from mailboxes.rights import STAFF, Deed

DECIDE = STAFF[Deed.DECIDE_LEAD]
MOST_AT_ONCE = 500


class LeadStateFilter(ColumnFilter):
    title = "state"
    parameter_name = "state"
    choices_declared = tuple((state.value, str(state.label)) for state in Lead.State)


class ReasonFilter(ColumnFilter):
    title = "reason"
    parameter_name = "reason"
    choices_declared = tuple((reason.value, str(reason.label)) for reason in Suppression.Reason)


class MessageInline(TabularInline[LeadMessage, Lead]):
    """What was sent to the lead."""

    model = LeadMessage
    extra = 0
    fields = ("step", "message", "state_badge", "sent_at")
    readonly_fields = fields
    can_delete = False
    verbose_name_plural = "messages"
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[LeadMessage]:
        return super().get_queryset(request).select_related("out").order_by("step")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="message")
    def message(self, obj: LeadMessage) -> SafeString | str:
        return page_link(obj.out)

    @admin.display(description="state")
    def state_badge(self, obj: LeadMessage) -> SafeString:
        return badge(obj.out.get_state_display())

    @admin.display(description="sent")
    def sent_at(self, obj: LeadMessage) -> str:
        return f"{obj.out.sent_at:%-d %b %Y, %H:%M}" if obj.out.sent_at else "–"


@admin.register(Lead)
class LeadAdmin(LongAdmin, ReadOnlyAdmin):
    """Leads come from a file, and move by what is sent and answered."""

    list_display = ("email", "campaign_link", "state_badge", "home_link", "step", "due", "note_words")
    list_filter = (
        LeadStateFilter, ("campaign", AutocompleteSelectFilter), ("home", AutocompleteSelectFilter),
        ("campaign__workspace", AutocompleteSelectFilter),
    )  # fmt: skip
    list_select_related = ("campaign", "home")
    search_fields = ("email",)
    search_help_text = "A whole address, or its beginning"
    ordering = ("campaign_id", "place")
    inlines = (MessageInline,)
    fields = (
        "email", "campaign_link", "state_badge", "home_link", "step", "due_at", "fields", "opened_at", "ended_at",
        "lacks", "note",
    )  # fmt: skip
    readonly_fields = ("campaign_link", "state_badge", "home_link")
    actions = ("are_gone", "go_on")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(DECIDE)

    @admin.action(description="Probably undeliverable ones: the address is gone", permissions=["decide"])
    def are_gone(self, request: HttpRequest, queryset: QuerySet[Lead]) -> None:
        """They are suppressed in their workspaces (SPEC M4)."""
        _decide(request, queryset, doubtful.take_as_gone, "suppressed")

    @admin.action(description="Probably undeliverable ones: go on", permissions=["decide"])
    def go_on(self, request: HttpRequest, queryset: QuerySet[Lead]) -> None:
        """Their sequences go on where they stood (SPEC M4)."""
        _decide(request, queryset, doubtful.go_on, "written to again")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Lead], search_term: str
    ) -> tuple[QuerySet[Lead], bool]:
        """By the index where the address is whole."""
        term = search_term.strip().lower()
        if "@" in term[1:] and "." in term.rpartition("@")[2]:
            return queryset.filter(email=term), False
        return queryset.filter(email__startswith=term) if term else queryset, False

    @admin.display(description="campaign")
    def campaign_link(self, obj: Lead) -> SafeString | str:
        return page_link(obj.campaign)

    @admin.display(description="state")
    def state_badge(self, obj: Lead) -> SafeString:
        return badge(obj.get_state_display())

    @admin.display(description="home mailbox")
    def home_link(self, obj: Lead) -> SafeString | str:
        return page_link(obj.home)

    @admin.display(description="due")
    def due(self, obj: Lead) -> str:
        if obj.due_at is None:
            return "–"
        running = obj.campaign.state == Campaign.State.RUNNING
        late = obj.due_at <= timezone.now()
        return "now" if late and running else "when it runs" if late else f"{obj.due_at:%-d %b %H:%M}"

    @admin.display(description="note")
    def note_words(self, obj: Lead) -> SafeString | str:
        told = f"Held: {obj.lacks}" if obj.lacks and obj.state in OPEN else obj.note
        return format_html('<span class="pm-cut" title="{}">{}</span>', told, told) if told else "–"


def _decide(request: HttpRequest, rows: QuerySet[Lead], decide: Callable[..., bool], words: str) -> None:
    """Of those chosen, the held ones."""
    held = rows.filter(state=Lead.State.HELD)[:MOST_AT_ONCE]
    done = sum(decide(lead, acting_user=staff(request), now=timezone.now()) for lead in held)
    messages.success(request, f"{done} {words}. Leads that were not held stay as they are.")


@admin.register(Suppression)
class SuppressionAdmin(LongAdmin):
    """Added by hand, by a bounce, or by the recipient; taken off by nobody."""

    writes_own_audit = True
    form = SuppressionForm
    list_display = ("email", "workspace", "reason", "added_at")
    list_filter = (ReasonFilter, ("workspace", AutocompleteSelectFilter))
    list_select_related = ("workspace",)
    search_fields = ("email",)
    search_help_text = "An address, or its beginning"
    ordering = ("-id",)
    autocomplete_fields = ("workspace",)

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Suppression], search_term: str
    ) -> tuple[QuerySet[Suppression], bool]:
        term = search_term.strip().lower()
        return queryset.filter(email__startswith=term) if term else queryset, False

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        """Their open conversations end here too."""
        suppress(obj.workspace, obj.email, acting_user=staff(request), now=timezone.now())
        stored = Suppression.objects.get(workspace=obj.workspace, email=obj.email)
        vars(obj).update(pk=stored.pk, id=stored.pk)
