"""What members of pools exchanged, and where it was found (SPEC W1)."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from mailboxes.admin.badges import badge, page_link
from mailboxes.admin.base import LongAdmin, ReadOnlyAdmin
from mailboxes.admin.filters import ColumnFilter
from mailboxes.wire.visits import Role
from warmup.models import Exchange


class PlacementFilter(ColumnFilter):
    title = "found in"
    parameter_name = "placement"
    choices_declared = ((Role.INBOX.value, "Inbox"), (Role.JUNK.value, "Junk"))


@admin.register(Exchange)
class ExchangeAdmin(LongAdmin, ReadOnlyAdmin):
    """Machine-written."""

    list_display = ("when", "from_box", "to_box", "placement_badge", "answered", "failed_words")
    list_display_links = ("when",)
    list_filter = (PlacementFilter, ("sender__mailbox", AutocompleteSelectFilter))
    list_select_related = ("sender__mailbox", "receiver__mailbox")
    fields = (
        "when", "from_box", "to_box", "message", "placement_badge", "found_at", "is_answer", "answered", "failed_words",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("-made_at", "-id")

    @admin.display(description="when", ordering="made_at")
    def when(self, obj: Exchange) -> str:
        return f"{obj.made_at:%-d %b %Y, %H:%M}"

    @admin.display(description="from")
    def from_box(self, obj: Exchange) -> SafeString | str:
        return page_link(obj.sender.mailbox)

    @admin.display(description="to")
    def to_box(self, obj: Exchange) -> SafeString | str:
        return page_link(obj.receiver.mailbox)

    @admin.display(description="found in")
    def placement_badge(self, obj: Exchange) -> SafeString:
        if obj.failed:
            return badge("Failed", title=obj.failed)
        return badge(obj.get_placement_display() or "Not found yet")

    @admin.display(description="message")
    def message(self, obj: Exchange) -> SafeString | str:
        return page_link(obj.out)

    @admin.display(description="why it never came")
    def failed_words(self, obj: Exchange) -> SafeString | str:
        return format_html('<span class="pm-cut" title="{}">{}</span>', obj.failed, obj.failed) if obj.failed else "–"
