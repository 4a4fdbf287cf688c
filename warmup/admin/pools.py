"""Pools and their ramps; their members stand in a list of their own (SPEC W1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mailboxes.admin.badges import list_url
from mailboxes.admin.base import LongAdmin
from warmup.models import Pool, PoolMember


@admin.register(Pool)
class PoolAdmin(LongAdmin):
    list_display = ("name", "member_count", "peer_count", "ramp_words", "answered_percent")
    search_fields = ("name",)
    ordering = ("name",)
    change_form_outer_before_template = "admin/warmup/pool/members.html"
    fieldsets = (
        (None, {"fields": ("name",)}),
        ("Ramp", {"fields": (("start", "step", "ceiling"),)}),
        ("Answers", {"fields": ("answered_percent",)}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Pool | None = None) -> bool:
        """An empty one alone: with its members their history would go."""
        may = obj is not None and super().has_delete_permission(request, obj)
        return may and not PoolMember.objects.filter(pool=obj).exists()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        if found is not None:
            self.dress([found])
            more = {"members": self.member_count(found), "peers": vars(found)["peers"]}
            extra_context = more | (extra_context or {})
        return super().change_view(request, object_id, form_url, extra_context)

    def dress(self, rows: Sequence[Pool]) -> None:
        members = PoolMember.objects.filter(pool__in=rows, active=True).order_by()
        counted = dict(members.values("pool").annotate(n=Count("id")).values_list("pool", "n"))
        now = members.filter(pk__in=PoolMember.objects.peers().values("pk"))
        peers = dict(now.values("pool").annotate(n=Count("id")).values_list("pool", "n"))
        for row in rows:
            vars(row).update(member_number=counted.get(row.pk, 0), peers=peers.get(row.pk, 0))

    @admin.display(description="members")
    def member_count(self, obj: Pool) -> SafeString:
        url = list_url("warmup_poolmember", pool__id__exact=obj.pk, active__exact=1)
        return format_html('<a class="pm-link" href="{}">{}</a>', url, vars(obj)["member_number"])

    @admin.display(description="exchange mail now")
    def peer_count(self, obj: Pool) -> int:
        return int(vars(obj)["peers"])

    @admin.display(description="ramp")
    def ramp_words(self, obj: Pool) -> str:
        return f"{obj.start} a day, +{obj.step} each day, up to {obj.ceiling}"
