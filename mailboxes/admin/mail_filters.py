"""Filters of the inbox and the outbox, with declared choices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from mailboxes.admin.filters import ColumnFilter
from mailboxes.models import InMessage, OutMessage
from mailboxes.wire.visits import Role

Kind = InMessage.Kind


class KindFilter(SimpleListFilter):
    """Warm-up mail is listed on request alone."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return tuple((kind.value, str(kind.label)) for kind in Kind)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """ "All" would be less than the truth."""
        for number, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": "All but warm-up"} if number == 0 else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[InMessage]) -> QuerySet[InMessage]:
        return queryset.filter(kind=self.value()) if self.value() else queryset.exclude(kind=Kind.WARMUP)


class FoundInFilter(ColumnFilter):
    title = "found in"
    parameter_name = "role"
    choices_declared = ((Role.INBOX.value, "Inbox"), (Role.JUNK.value, "Junk"))


class OutStateFilter(ColumnFilter):
    title = "state"
    parameter_name = "state"
    choices_declared = tuple((state.value, str(state.label)) for state in OutMessage.State)


class PurposeFilter(ColumnFilter):
    title = "purpose"
    parameter_name = "purpose"
    choices_declared = tuple((purpose.value, str(purpose.label)) for purpose in OutMessage.Purpose)


class LatelyFilter(SimpleListFilter):
    """By the list's own time, which its index begins with."""

    title = "time"
    parameter_name = "lately"
    column = ""
    spans = {"day": timedelta(hours=24), "week": timedelta(days=7)}

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (("day", "Last 24 hours"), ("week", "Last 7 days"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        span = self.spans.get(self.value() or "")
        return queryset.filter(**{f"{self.column}__gte": timezone.now() - span}) if span else queryset


class ArrivedFilter(LatelyFilter):
    title = "arrived"
    column = "arrived_at"


class WrittenFilter(LatelyFilter):
    title = "written"
    column = "created_at"
