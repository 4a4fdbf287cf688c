"""The admin's first page: what needs a reconnect, mailboxes by status, mail, open alarms, the queue (SPEC A2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from mailboxes.admin.badges import page_url
from mailboxes.admin.incidents import describe
from mailboxes.admin.tiles import tiles
from mailboxes.health.incidents.store import active as open_incidents
from mailboxes.models import CheckState, Heartbeat, Mailbox, StaffAlarm
from mailboxes.states import Status
from mailboxes.wording import ago, cause_words, status_label

SILENT = timedelta(seconds=60)
CAUSES = 6


def context(request: HttpRequest, page: dict[str, Any]) -> dict[str, Any]:
    """Add the numbers to the first page's context."""
    if not request.user.has_perm("mailboxes.view_mailbox"):
        return page
    now = timezone.now()
    listed = reverse("admin:mailboxes_mailbox_changelist")
    counts = dict(Mailbox.objects.present().order_by().values_list("status").annotate(Count("id")))
    return page | {
        "title": "Overview",
        "reconnect_count": Mailbox.objects.needing_reconnect().count(),
        "settings_count": Mailbox.objects.needing_settings().count(),
        "reconnect_url": f"{listed}?needs=reconnect",
        "settings_url": f"{listed}?needs=settings",
        "listed": listed,
        "statuses": [
            {"label": status_label(status), "count": counts.get(status, 0), "url": f"{listed}?status__exact={status}"}
            for status in Status
        ],
        "tiles": tiles(request),
        "causes": _causes(listed),
        "incidents": [
            (describe(row), page_url(row), ago(row.started_at, now), row.mailboxes) for row in open_incidents()[:5]
        ],
        "alarms": list(StaffAlarm.objects.filter(closed_at__isnull=True)[:5]),
        "workers": [(beat.name, ago(beat.at, now), now - beat.at < SILENT) for beat in Heartbeat.objects.all()[:8]],
        "overdue": _overdue(now),
        "total": sum(counts.values()),
    }


def _causes(listed: str) -> list[dict[str, Any]]:
    rows = Mailbox.objects.needing_reconnect().order_by().values_list("category").annotate(number=Count("id"))
    return [
        {"label": cause_words(category), "count": count, "url": f"{listed}?needs=reconnect&category={category}"}
        for category, count in rows.order_by("-number")[:CAUSES]
    ]


def _overdue(now: Any) -> str:
    oldest = CheckState.objects.filter(next_check_at__lte=now).order_by("next_check_at").first()
    return ago(oldest.next_check_at, now) if oldest else ""
