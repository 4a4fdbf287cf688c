"""The unified inbox of all workspaces: what people wrote, each message in its conversation, and an answer (SPEC I3)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.widgets import UnfoldAdminTextareaWidget

from mailboxes.admin.badges import badge, page_link, page_url
from mailboxes.admin.base import LongAdmin, ReadOnlyAdmin, staff
from mailboxes.admin.mail_filters import ArrivedFilter, FoundInFilter, KindFilter
from mailboxes.inbox.conversation import BODY_CHARS, CannotReply, answer_to, conversation, may_answer, reply
from mailboxes.models import InMessage
from mailboxes.wording import ago

ANSWER = "mailboxes.change_inmessage"


class ReplyForm(forms.Form):
    """An answer by a member of staff."""

    text = forms.CharField(
        label="Your answer", widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}), required=False, max_length=BODY_CHARS
    )


@admin.register(InMessage)
class InMessageAdmin(LongAdmin, ReadOnlyAdmin):
    """Received mail is written by the reader alone."""

    list_display = ("sender", "about", "box", "kind_badge", "found_in", "arrived")
    list_display_links = ("about",)
    list_filter = (
        KindFilter, FoundInFilter, ArrivedFilter,
        ("mailbox__workspace", AutocompleteSelectFilter), ("mailbox", AutocompleteSelectFilter),
    )  # fmt: skip
    list_select_related = ("mailbox__workspace",)
    search_fields = ("from_address",)
    search_help_text = "A sender's address or its beginning, a domain as in @example.com, or words of the subject"

    def get_queryset(self, request: HttpRequest) -> QuerySet[InMessage]:
        return super().get_queryset(request).defer("text", "references")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Each by an index: that of the arrival leaves warm-up mail out."""
        by_time = "-stored_at" if request.GET.get("kind") == InMessage.Kind.WARMUP else "-arrived_at"
        return (by_time, "-id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[InMessage], search_term: str
    ) -> tuple[QuerySet[InMessage], bool]:
        term = search_term.strip()
        if term.startswith("@"):
            return queryset.filter(from_address__iendswith=term), False
        if "@" in term:
            return queryset.filter(from_address__istartswith=term), False
        for word in term.split()[:8]:
            queryset = queryset.filter(Q(subject__icontains=word) | Q(from_address__istartswith=word))
        return queryset, False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The conversation, and the answer."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        message = self.get_object(request, object_id)
        if message is None:
            raise Http404
        form = ReplyForm(request.POST or None)
        if request.method == "POST" and _answered(request, message, form):
            return redirect(page_url(message))
        return TemplateResponse(request, "admin/mailboxes/inmessage/page.html", self._page(request, message, form))

    def _page(self, request: HttpRequest, message: InMessage, form: ReplyForm) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": message,
            "title": str(message),
            "message": message,
            "kind": badge(message.get_kind_display()),
            "lines": conversation(message),
            "form": form,
            "answer_to": answer_to(message),
            "may_reply": may_answer(message) and request.user.has_perm(ANSWER),
        }

    # ---- columns

    @admin.display(description="from")
    def sender(self, obj: InMessage) -> SafeString | str:
        if not obj.from_name:
            return obj.from_address or "–"
        two = '<span class="pm-cut pm-two"><strong>{}</strong><br><span class="pm-quiet">{}</span></span>'
        return format_html(two, obj.from_name, obj.from_address)

    @admin.display(description="subject")
    def about(self, obj: InMessage) -> SafeString:
        return format_html('<span class="pm-cut" title="{}">{}</span>', obj.subject, str(obj))

    @admin.display(description="mailbox, workspace")
    def box(self, obj: InMessage) -> SafeString:
        two = '<span class="pm-cut pm-two">{}<br><span class="pm-quiet">{}</span></span>'
        return format_html(two, page_link(obj.mailbox), obj.mailbox.workspace)

    @admin.display(description="kind")
    def kind_badge(self, obj: InMessage) -> SafeString:
        return badge(obj.get_kind_display())

    @admin.display(description="found in")
    def found_in(self, obj: InMessage) -> SafeString | str:
        return badge("Junk") if obj.role == "junk" else obj.get_role_display()

    @admin.display(description="arrived", ordering="arrived_at")
    def arrived(self, obj: InMessage) -> SafeString:
        at = f"{obj.arrived_at:%-d %b %Y, %H:%M} UTC"
        return format_html('<span title="{}">{}</span>', at, ago(obj.arrived_at, timezone.now()))


def _answered(request: HttpRequest, message: InMessage, form: ReplyForm) -> bool:
    """Queue the answer; what is wrong with it stands at its field. Raises PermissionDenied."""
    if not may_answer(message) or not request.user.has_perm(ANSWER):
        raise PermissionDenied
    if not form.is_valid():
        return False
    try:
        reply(message, form.cleaned_data["text"], acting_user=staff(request), now=timezone.now())
    except CannotReply as refused:
        form.add_error("text", str(refused))
        return False
    messages.success(request, f"Your answer goes out from {message.mailbox} as soon as it can send.")
    return True
