"""Incidents: one row for a provider's bad hour, and the word of staff on it (SPEC H9)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from mailboxes import clock
from mailboxes.admin.badges import badge
from mailboxes.admin.base import ReadOnlyAdmin, staff
from mailboxes.admin.posts import posted
from mailboxes.health.incidents.effects import say
from mailboxes.health.incidents.values import EGRESS, RESOLVER, Word
from mailboxes.models import Incident
from mailboxes.providers.presets import by_id
from mailboxes.wording import ago

DECIDE = "mailboxes.change_incident"
CLASS_WORDS = {
    "login": "logins are refused",
    "policy": "logins are refused by a policy",
    "block": "accounts are blocked",
    "network": "servers do not answer",
    "certificate": "certificates do not hold",
    "name": "names are not found",
}
SAID = {
    Word.HOLD: "It stays open until you end it.",
    Word.RELEASE: "Released: its mailboxes are checked one by one, and flagged where they are refused.",
    Word.REAL: "Its mailboxes are flagged now: their owners are asked to reconnect.",
}


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    """`mailboxes.health.incidents` opens and closes them; staff hold, release, or say that it is real."""

    list_display = ("what", "state", "started", "lasted", "mailboxes", "workspaces", "said")
    list_filter = ("phase", "ours")
    list_per_page = 50
    show_full_result_count = False
    change_form_outer_before_template = "admin/mailboxes/incident/decide.html"
    fieldsets = (
        (None, {"fields": ("what", "state", "mailboxes", "workspaces", "replies")}),
        ("Time line", {"fields": ("time_line",)}),
    )
    readonly_fields = ("what", "state", "replies", "time_line")

    def get_urls(self) -> list[URLPattern]:
        """Its own actions beside Django's pages; each asks for the right to decide."""
        view = self.admin_site.admin_view
        own = [
            path(
                f"<int:pk>/{word.value}/", view(posted(Incident, DECIDE, _saying(word))), name=f"incident_{word.value}"
            )
            for word in (Word.HOLD, Word.RELEASE, Word.REAL)
        ]
        return own + super().get_urls()

    @admin.display(description="incident", ordering="scope")
    def what(self, obj: Incident) -> str:
        """Whose fault it is, on which side, in words."""
        return describe(obj)

    @admin.display(description="state", ordering="phase")
    def state(self, obj: Incident) -> SafeString:
        """Open, over, or not yet certain."""
        return badge({"open": "Open", "candidate": "Watched", "closed": "Over"}[obj.phase])

    @admin.display(description="since", ordering="started_at")
    def started(self, obj: Incident) -> str:
        """The first failure."""
        return f"{obj.started_at:%-d %b, %H:%M} UTC"

    @admin.display(description="lasted")
    def lasted(self, obj: Incident) -> str:
        """From the first failure to the end, or to now."""
        return ago(obj.started_at, obj.changed_at if obj.phase == "closed" else clock.now())

    @admin.display(description="staff said")
    def said(self, obj: Incident) -> str:
        """What a person decided."""
        return f"{obj.get_word_display()}, {obj.word_by or 'by itself'}" if obj.word else "–"

    @admin.display(description="servers' replies")
    def replies(self, obj: Incident) -> SafeString | str:
        """The most frequent ones, with how often each was seen."""
        if not obj.examples:
            return "–"
        rows = ((times, text) for text, times in obj.examples)
        return format_html_join("", "<p>{} × <code>{}</code></p>", rows)

    @admin.display(description="what happened")
    def time_line(self, obj: Incident) -> SafeString:
        """First failure, opened, recovering, a person's word, over."""
        moments = [
            ("First failure", obj.started_at),
            ("Opened: nobody is asked to reconnect from here on", obj.opened_at),
            ("Most logins pass again: all held mailboxes are tried", obj.recovering_at),
            (f"{obj.word_by or 'After a day, as nearly all others pass'}: {obj.get_word_display()}", obj.word_at),
            ("Over", obj.changed_at if obj.phase == "closed" else None),
        ]
        known = sorted(((at, words) for words, at in moments if at is not None), key=lambda pair: pair[0])
        return format_html_join("", "<p>{} UTC: {}</p>", ((_shown(at), words) for at, words in known))


def describe(row: Incident) -> str:
    """Return an incident in words, as in "Gmail: logins are refused (IMAP)"."""
    return f"{scope_words(row.scope)}: {CLASS_WORDS.get(row.failure_class, row.failure_class)} ({row.leg.upper()})"


def scope_words(scope: str) -> str:
    """Return whose incident it is."""
    kind, _, name = scope.partition(":")
    if scope == EGRESS:
        return "Our own way out"
    if scope == RESOLVER:
        return "Our own name server"
    if kind == "client":
        return f"Sign-in of {name}"
    preset = by_id(name) if kind == "provider" else None
    return preset.name if preset is not None else name if kind == "host" else name.capitalize()


def _shown(at: datetime) -> str:
    return f"{at:%-d %b, %H:%M:%S}"


def _saying(word: Word) -> Callable[[HttpRequest, Incident], None]:
    return partial(_say, word=word)


def _say(request: HttpRequest, row: Incident, *, word: Word) -> None:
    if row.phase == "closed":
        messages.warning(request, "It is over: there is nothing left to decide.")
        return
    say(row, word, acting_user_id=staff(request).pk, now=clock.now())
    messages.success(request, SAID[word])
