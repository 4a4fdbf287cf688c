"""Numbers on the admin's first page, each a link to its list. The upper apps register theirs, like panels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from mailboxes.admin.badges import list_url
from mailboxes.inbox.conversation import from_people
from mailboxes.models import InMessage, OutMessage

MOST_COUNTED = 10_000
DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Tile:
    """One number. `alarming` where it is one that somebody must look at."""

    number: str
    label: str
    url: str
    alarming: bool = False


Maker = Callable[[HttpRequest], Tile | None]
_makers: list[Maker] = []


def register(maker: Maker) -> Maker:
    """Show this maker's tile on the first page; None for those who may not see it."""
    if maker not in _makers:
        _makers.append(maker)
    return maker


def tiles(request: HttpRequest) -> list[Tile]:
    """All of them, for whoever looks."""
    return [tile for maker in _makers if (tile := maker(request)) is not None]


def up_to(rows: QuerySet[Any]) -> str:
    """How many rows, counted up to a bound by an index: "10,000+" beyond it."""
    number = rows.order_by()[:MOST_COUNTED].count()
    return f"{number:,}+" if number == MOST_COUNTED else f"{number:,}"


@register
def sent(request: HttpRequest) -> Tile | None:
    if not request.user.has_perm("mailboxes.view_outmessage"):
        return None
    rows = OutMessage.objects.filter(created_at__gte=timezone.now() - DAY, state=OutMessage.State.SENT)
    return Tile(up_to(rows), "Sent", list_url("mailboxes_outmessage", lately="day", state="sent"))


@register
def received(request: HttpRequest) -> Tile | None:
    if not request.user.has_perm("mailboxes.view_inmessage"):
        return None
    rows = from_people().filter(arrived_at__gte=timezone.now() - DAY)
    return Tile(up_to(rows), "Received", list_url("mailboxes_inmessage", lately="day"))


@register
def bounced(request: HttpRequest) -> Tile | None:
    if not request.user.has_perm("mailboxes.view_inmessage"):
        return None
    rows = from_people().filter(arrived_at__gte=timezone.now() - DAY, kind=InMessage.Kind.BOUNCE)
    return Tile(up_to(rows), "Bounces", list_url("mailboxes_inmessage", lately="day", kind="bounce"))


@register
def unknown(request: HttpRequest) -> Tile | None:
    if not request.user.has_perm("mailboxes.view_outmessage"):
        return None
    number = unknown_count()
    url = list_url("mailboxes_outmessage", state="unknown")
    return Tile(number, "Unknown whether sent", url, alarming=number != "0")


def unknown_count() -> str:
    """Messages of which nobody knows whether they were sent, by their own small index."""
    return up_to(OutMessage.objects.filter(state=OutMessage.State.UNKNOWN))
