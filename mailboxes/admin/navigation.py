"""The side bar, with the numbers that need a reconnect, or a word on whether they were sent (SPEC A2)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from mailboxes.admin.tiles import unknown_count
from mailboxes.models import Incident, Mailbox, StaffAlarm


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Groups of links; what the user may not see is left out."""
    groups = {
        "Support": _support(request),
        "Mail": _mail(request),
        "Campaigns": _campaigns(request),
        "Warm-up": _warmup(request),
        "Data": _data(request),
        "Operation": _operation(request),
    }
    return [{"title": title, "separator": title != "Support", "items": items} for title, items in groups.items()]


def _support(request: HttpRequest) -> list[dict[str, Any]]:
    listed = reverse("admin:mailboxes_mailbox_changelist")
    return [
        _link("Overview", "dashboard", reverse("admin:index"), request),
        _link("Needs reconnect", "link_off", f"{listed}?needs=reconnect", request, "mailboxes.view_mailbox",
              badge=_reconnect_count()),
        _link("Mailboxes", "mail", listed, request, "mailboxes.view_mailbox"),
        _model("Incidents", "crisis_alert", "mailboxes_incident", "mailboxes.view_incident", request,
               badge=_incident_count()),
        _link("Alarms", "notifications", reverse("admin:mailboxes_staffalarm_changelist"), request,
              "mailboxes.view_staffalarm", badge=_alarm_count()),
    ]  # fmt: skip


def _mail(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        _model("Inbox", "inbox", "mailboxes_inmessage", "mailboxes.view_inmessage", request),
        _model("Outbox", "outbox", "mailboxes_outmessage", "mailboxes.view_outmessage", request,
               badge=_unknown_count()),
    ]  # fmt: skip


def _campaigns(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        _model("Campaigns", "campaign", "campaigns_campaign", "campaigns.view_campaign", request),
        _model("Leads", "contacts", "campaigns_lead", "campaigns.view_lead", request),
        _model("Suppressions", "block", "campaigns_suppression", "campaigns.view_suppression", request),
    ]


def _warmup(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        _model("Pools", "local_fire_department", "warmup_pool", "warmup.view_pool", request),
        _model("Members", "diversity_3", "warmup_poolmember", "warmup.view_poolmember", request),
        _model("Exchanges", "sync_alt", "warmup_exchange", "warmup.view_exchange", request),
    ]


def _data(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        _model("Workspaces", "domain", "mailboxes_workspace", "mailboxes.view_workspace", request),
        _model("Status changes", "timeline", "mailboxes_statuschange", "mailboxes.view_statuschange", request),
        _model("Audit log", "history", "mailboxes_auditentry", "mailboxes.view_auditentry", request),
    ]


def _operation(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        _model("OAuth clients", "key", "mailboxes_oauthclient", "mailboxes.view_oauthclient", request),
        _model("Failed tasks", "error", "django_q_failure", "django_q.view_failure", request),
        _model("Second factors", "phonelink_lock", "mailboxes_codedevice", "mailboxes.view_codedevice", request),
        _model("Users", "group", "auth_user", "auth.view_user", request),
        _model("Groups", "groups", "auth_group", "auth.view_group", request),
    ]


def _reconnect_count() -> str:
    return str(Mailbox.objects.needing_reconnect().count() or "")


def _alarm_count() -> str:
    return str(StaffAlarm.objects.filter(closed_at__isnull=True).count() or "")


def _incident_count() -> str:
    return str(Incident.objects.filter(phase="open").count() or "")


def _unknown_count() -> str:
    number = unknown_count()
    return "" if number == "0" else number


def _model(title: str, icon: str, name: str, permission: str, request: HttpRequest, badge: str = "") -> dict[str, Any]:
    return _link(title, icon, reverse(f"admin:{name}_changelist"), request, permission, badge)


def _link(
    title: str, icon: str, link: str, request: HttpRequest, permission: str = "", badge: str = ""
) -> dict[str, Any]:
    item: dict[str, Any] = {"title": title, "icon": icon, "link": link}
    item["permission"] = lambda _request: not permission or request.user.has_perm(permission)
    item["active"] = (
        request.get_full_path() == link if "needs=" in link or title == "Overview" else _is_at(request, link)
    )
    return item | ({"badge": badge} if badge else {})


def _is_at(request: HttpRequest, link: str) -> bool:
    return request.path.startswith(link) and request.GET.get("needs") != "reconnect"
