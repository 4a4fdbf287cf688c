"""Members of pools: read here; who is one is changed by joining and leaving (SPEC W1, W2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from mailboxes.admin.badges import badge, list_url, page_link
from mailboxes.admin.base import LongAdmin, ReadOnlyAdmin, staff
from mailboxes.models import Mailbox
from mailboxes.outbox import tempo
from mailboxes.rights import STAFF, Deed
from mailboxes.states import Status
from warmup.changes import CannotJoin, join, leave
from warmup.choosing import today
from warmup.models import PoolMember
from warmup.numbers import numbers

JOIN, LEAVE = STAFF[Deed.JOIN_POOL], STAFF[Deed.LEAVE_POOL]


def received_today(member: PoolMember, now: datetime) -> int:
    """Its numbers are of the day on which something was last counted."""
    return member.received_today if member.day == tempo.calendar(now).date() else 0


def _why_out(mailbox: Mailbox, now: datetime) -> str:
    if mailbox.held_since is not None:
        return "The mailbox is paused by a person"
    if mailbox.status != Status.CONNECTED:
        return f"The mailbox's state: {mailbox.badge}"
    rests = any(until is not None and until > now for until in (mailbox.resting_until, mailbox.risk_until))
    return "The mailbox rests for a while" if rests else "What has arrived is read first"


@admin.register(PoolMember)
class PoolMemberAdmin(LongAdmin, ReadOnlyAdmin):
    """A broken mailbox stays a member: whether it exchanges mail is asked of its state."""

    list_display = (
        "box",
        "workspace",
        "pool",
        "peer_badge",
        "today_words",
        "received",
        "level",
        "placed",
        "next_words",
    )
    list_display_links = ("today_words",)
    list_filter = (
        ("pool", AutocompleteSelectFilter), "active", ("mailbox__workspace", AutocompleteSelectFilter),
    )  # fmt: skip
    list_select_related = ("mailbox__workspace", "pool")
    search_fields = ("mailbox__address",)
    search_help_text = "The beginning of an address"
    ordering = ("pool_id", "mailbox_id")
    actions = ("take_out", "put_back")
    fields = (
        "box", "pool", "active", "peer_badge", "today_words", "received", "level", "placed", "next_words", "joined_at",
        "exchanges",
    )  # fmt: skip
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PoolMember], search_term: str
    ) -> tuple[QuerySet[PoolMember], bool]:
        term = search_term.strip()
        return queryset.filter(mailbox__address__istartswith=term) if term else queryset, False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> PoolMember | None:
        found: PoolMember | None = super().get_object(request, object_id, from_field)
        if found is not None:
            self.dress([found])
        return found

    def dress(self, rows: Sequence[PoolMember]) -> None:
        now = timezone.now()
        peers = set(PoolMember.objects.peers(now).filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
        sent, week = today(rows, now), numbers(rows, now)
        for row in rows:
            vars(row).update(is_peer=row.pk in peers, today=sent[row.pk], week=week[row.pk])

    # ---- columns

    @admin.display(description="mailbox")
    def box(self, obj: PoolMember) -> SafeString | str:
        return page_link(obj.mailbox)

    @admin.display(description="workspace")
    def workspace(self, obj: PoolMember) -> str:
        return str(obj.mailbox.workspace)

    @admin.display(description="exchanges mail now")
    def peer_badge(self, obj: PoolMember) -> SafeString:
        if not obj.active:
            return badge("Left", title="A person took it out of the pool")
        if vars(obj)["is_peer"]:
            return badge("Exchanges mail")
        return badge("Out for now", title=_why_out(obj.mailbox, timezone.now()))

    @admin.display(description="sent today")
    def today_words(self, obj: PoolMember) -> str:
        return "{} of {}".format(*vars(obj)["today"])

    @admin.display(description="received today")
    def received(self, obj: PoolMember) -> int:
        return received_today(obj, timezone.now())

    @admin.display(description="level")
    def level(self, obj: PoolMember) -> str:
        return f"{obj.pool.ramp.level(obj.days_sent)} a day"

    @admin.display(description="in the inbox, 7 days")
    def placed(self, obj: PoolMember) -> str:
        week = vars(obj)["week"]
        return "–" if week.inbox_percent is None else f"{week.inbox_percent} % of {week.inbox + week.junk}"

    @admin.display(description="next message", ordering="next_at")
    def next_words(self, obj: PoolMember) -> str:
        return f"{obj.next_at:%-d %b %H:%M}" if obj.active and vars(obj)["is_peer"] else "–"

    @admin.display(description="exchanges")
    def exchanges(self, obj: PoolMember) -> SafeString:
        url = list_url("warmup_exchange", sender__mailbox__id__exact=obj.mailbox_id)
        return format_html('<a class="pm-link" href="{}">What it sent</a>', url)

    # ---- actions on many

    def has_leave_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(LEAVE)

    def has_join_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(JOIN)

    @admin.action(description="Take out of the pool (its level is kept)", permissions=["leave"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[PoolMember]) -> None:
        active = list(queryset.filter(active=True).select_related("pool"))
        for member in active:
            leave(member, acting_user=staff(request), now=timezone.now())
        messages.success(request, f"{len(active)} taken out.")

    @admin.action(description="Put back into the pool", permissions=["join"])
    def put_back(self, request: HttpRequest, queryset: QuerySet[PoolMember]) -> None:
        back = 0
        for member in queryset.filter(active=False).select_related("pool", "mailbox"):
            try:
                join(member.mailbox, member.pool, acting_user=staff(request), now=timezone.now())
                back += 1
            except CannotJoin as refused:
                messages.error(request, f"{member.mailbox}: {refused}")
        messages.success(request, f"{back} put back.")
