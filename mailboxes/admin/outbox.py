"""The outbox: what was to be sent, what became of it, and the word of staff where nobody knows (SPEC K4)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from mailboxes.admin.badges import badge, page_link
from mailboxes.admin.base import LongAdmin, ReadOnlyAdmin, staff
from mailboxes.admin.mail_filters import OutStateFilter, PurposeFilter, WrittenFilter
from mailboxes.admin.posts import posted
from mailboxes.models import OutMessage
from mailboxes.outbox.unknown import decide

DECIDE = "mailboxes.change_outmessage"
MOST_AT_ONCE = 200
State = OutMessage.State


@admin.register(OutMessage)
class OutMessageAdmin(LongAdmin, ReadOnlyAdmin):
    """`mailboxes.outbox` alone moves a message; staff decide where nobody knows whether one was sent."""

    list_display = ("to", "state_badge", "due_or_sent", "about", "box", "attempts", "words")
    list_display_links = ("to",)
    list_filter = (
        OutStateFilter, PurposeFilter, WrittenFilter,
        ("mailbox__workspace", AutocompleteSelectFilter), ("mailbox", AutocompleteSelectFilter),
    )  # fmt: skip
    list_select_related = ("mailbox",)
    search_fields = ("recipient",)
    search_help_text = "A recipient's whole address, its beginning without the @, or a Message-ID"
    ordering = ("-created_at", "-id")
    actions = ("it_was_sent", "send_it_again")
    change_form_outer_before_template = "admin/mailboxes/outmessage/decide.html"
    fieldsets = (
        (None, {"fields": ("box", "recipient", "subject", "written")}),
        ("Delivery", {"fields": ("state_badge", "purpose_words", "attempts", "due_at", "on_wire_at", "sent_at", "text",
                                 "bounced_at", "bounce_text")}),
        ("Message", {"fields": ("message_id", "in_reply_to", "created_at")}),
    )  # fmt: skip
    readonly_fields = ("box", "written", "state_badge", "purpose_words")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutMessage]:
        return super().get_queryset(request).defer("body", "html", "headers", "references")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OutMessage], search_term: str
    ) -> tuple[QuerySet[OutMessage], bool]:
        """By the indexes of recipients and of Message-IDs where the term is whole."""
        term = search_term.strip()
        if "@" in term:
            by_id = Q(message_id=term) | Q(message_id=f"<{term}>")
            return queryset.filter(by_id | Q(recipient=term.lower())), False
        return queryset.filter(recipient__startswith=term.lower()) if term else queryset, False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/sent/", view(posted(OutMessage, DECIDE, _was_sent)), name="outmessage_sent"),
            path("<int:pk>/again/", view(posted(OutMessage, DECIDE, _send_again)), name="outmessage_again"),
        ]
        return own + super().get_urls()

    # ---- columns

    @admin.display(description="recipient")
    def to(self, obj: OutMessage) -> SafeString:
        return format_html('<span class="pm-cut" title="{}">{}</span>', obj.recipient, obj.recipient)

    @admin.display(description="subject, purpose")
    def about(self, obj: OutMessage) -> SafeString:
        two = '<span class="pm-cut pm-two" title="{}">{}<br><span class="pm-quiet">{}</span></span>'
        return format_html(two, obj.subject, obj.subject, obj.get_purpose_display())

    @admin.display(description="mailbox")
    def box(self, obj: OutMessage) -> SafeString:
        return format_html('<span class="pm-cut" title="{}">{}</span>', str(obj.mailbox), page_link(obj.mailbox))

    @admin.display(description="purpose")
    def purpose_words(self, obj: OutMessage) -> str:
        return obj.get_purpose_display()

    @admin.display(description="state")
    def state_badge(self, obj: OutMessage) -> SafeString:
        shown = badge(obj.get_state_display())
        return format_html("{} {}", shown, badge("Bounced", title=obj.bounce_text)) if obj.bounced_at else shown

    @admin.display(description="due or sent", ordering="created_at")
    def due_or_sent(self, obj: OutMessage) -> str:
        if at := obj.sent_at or obj.on_wire_at:
            return f"{at:%-d %b %H:%M}"
        return f"due {obj.due_at:%-d %b %H:%M}" if obj.state == State.QUEUED else "–"

    @admin.display(description="server's words")
    def words(self, obj: OutMessage) -> SafeString | str:
        return format_html('<span class="pm-cut" title="{}">{}</span>', obj.text, obj.text) if obj.text else "–"

    @admin.display(description="text")
    def written(self, obj: OutMessage) -> SafeString:
        return format_html('<div class="pm-text">{}</div>', obj.body.strip())

    # ---- actions on many

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(DECIDE)

    @admin.action(description="Unknown ones: they were sent", permissions=["decide"])
    def it_was_sent(self, request: HttpRequest, queryset: QuerySet[OutMessage]) -> None:
        _decide_all(request, queryset, sent=True)

    @admin.action(description="Unknown ones: send them again…", permissions=["decide"])
    def send_it_again(self, request: HttpRequest, queryset: QuerySet[OutMessage]) -> HttpResponse | None:
        """After a question: nobody knows whether the recipients have them already."""
        if request.POST.get("confirmed"):
            _decide_all(request, queryset, sent=False)
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Send again?",
            "found": _unknown(queryset),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/mailboxes/outmessage/again.html", context)


def _unknown(rows: QuerySet[OutMessage]) -> list[OutMessage]:
    return list(rows.filter(state=State.UNKNOWN).select_related("mailbox")[:MOST_AT_ONCE])


def _decide_all(request: HttpRequest, rows: QuerySet[OutMessage], *, sent: bool) -> None:
    user, now = staff(request), timezone.now()
    done = sum(decide(row, sent=sent, acting_user_id=user.pk, now=now) for row in _unknown(rows))
    messages.success(request, f"{done} {'taken as sent' if sent else 'wait to be sent again'}.")


def _was_sent(request: HttpRequest, row: OutMessage) -> None:
    _tell(request, decide(row, sent=True, acting_user_id=staff(request).pk, now=timezone.now()), "Taken as sent.")


def _send_again(request: HttpRequest, row: OutMessage) -> None:
    if not request.POST.get("confirmed"):
        messages.error(request, "Tick first that a second copy may arrive.")
        return
    done = decide(row, sent=False, acting_user_id=staff(request).pk, now=timezone.now())
    _tell(request, done, "It waits to be sent again.")


def _tell(request: HttpRequest, done: Any, words: str) -> None:
    if done:
        messages.success(request, words)
    else:
        messages.warning(request, "Nothing was done: it is known by now what became of it.")
