"""Warm-up pools in the admin, and their panel on the mailbox's page."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from mailboxes.admin.base import ModelAdmin
from mailboxes.models import Mailbox
from mailboxes.panels import Panel, register
from warmup.models import Pool, PoolMember


@admin.register(Pool)
class PoolAdmin(ModelAdmin[Pool]):
    list_display = ("name", "member_count", "peer_count")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pool]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                members_in_all=Count("members"),
                peers_now=Count("members", filter=Q(members__in=PoolMember.objects.peers())),
            )
        )

    @admin.display(description="members", ordering="members_in_all")
    def member_count(self, obj: Pool) -> int:
        return int(getattr(obj, "members_in_all", 0))

    @admin.display(description="may exchange mail now")
    def peer_count(self, obj: Pool) -> int:
        return int(getattr(obj, "peers_now", 0))


@register
def panel(mailbox: Mailbox) -> Panel:
    """The pools that this mailbox is a member of, and whether it is a peer at this moment."""
    is_peer = PoolMember.objects.peers().filter(mailbox=mailbox).exists()
    now = "exchanges warm-up mail" if is_peer else "out of the peer pool now"
    lines = [
        (f"{member.pool.name}: {now}", reverse("admin:warmup_pool_change", args=[member.pool_id]))
        for member in mailbox.pool_memberships.select_related("pool")
    ]
    return Panel("Warm-up pools", lines, "In no pool.")
