"""Filters with declared choices: none of them asks the table for its distinct values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from mailboxes.diagnosis.categories import Actor
from mailboxes.models import Mailbox
from mailboxes.models.mailbox import MailboxQuerySet, has_confirmed_address
from mailboxes.providers.presets import names
from mailboxes.wording import CATEGORY_WORDS


class NeedsReconnectFilter(SimpleListFilter):
    """H3, and beside it the settings faults, counted apart (H16)."""

    title = "Needs Reconnect"
    parameter_name = "needs"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (("reconnect", "Yes"), ("settings", "No, check settings"), ("nothing", "No"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> QuerySet[Mailbox]:
        assert isinstance(queryset, MailboxQuerySet)
        if self.value() == "reconnect":
            return queryset.needing_reconnect()
        if self.value() == "settings":
            return queryset.needing_settings()
        return queryset.filter(needs_reconnect=False, settings_fault=False) if self.value() == "nothing" else queryset


class ColumnFilter(SimpleListFilter):
    """One column, its choices declared."""

    choices_declared: tuple[tuple[str, str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return self.choices_declared

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> QuerySet[Mailbox]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class CauseFilter(ColumnFilter):
    title = "cause"
    parameter_name = "category"
    choices_declared = tuple(CATEGORY_WORDS.items())


class ActorFilter(ColumnFilter):
    title = "who must act"
    parameter_name = "actor"
    choices_declared = tuple((actor.value, actor.value.capitalize()) for actor in Actor)


class ProviderFilter(ColumnFilter):
    title = "provider"
    parameter_name = "provider"
    choices_declared = tuple(names())


class RestingFilter(SimpleListFilter):
    """At a sending limit (H13), or as a risk, since too much of its mail came back (K6)."""

    title = "resting"
    parameter_name = "resting"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (("yes", "At a sending limit"), ("risk", "Too many bounces"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> QuerySet[Mailbox]:
        assert isinstance(queryset, MailboxQuerySet)
        if self.value() == "risk":
            return queryset.filter(risk_until__gt=timezone.now())
        return queryset.resting() if self.value() else queryset


class FlappingFilter(SimpleListFilter):
    """Its status changes too often (H12)."""

    title = "comes and goes"
    parameter_name = "flapping"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (("yes", "Flapping"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> QuerySet[Mailbox]:
        assert isinstance(queryset, MailboxQuerySet)
        return queryset.flapping() if self.value() else queryset


class ConfirmedFilter(SimpleListFilter):
    """Whether its owner has confirmed the address (C10)."""

    title = "address"
    parameter_name = "address_is"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (("unconfirmed", "Not confirmed"), ("confirmed", "Confirmed"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> QuerySet[Mailbox]:
        wanted = {"unconfirmed": ~has_confirmed_address(), "confirmed": has_confirmed_address()}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(wanted)


class HeldFilter(SimpleListFilter):
    title = "paused by a person"
    parameter_name = "held"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (("yes", "Yes"), ("no", "No"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> QuerySet[Mailbox]:
        return queryset.filter(held_since__isnull=self.value() == "no") if self.value() else queryset


class RemovedFilter(SimpleListFilter):
    """Removed mailboxes are listed on request alone (C9)."""

    title = "removed"
    parameter_name = "removed"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (("yes", "Removed"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> QuerySet[Mailbox]:
        return queryset.filter(removed_at__isnull=not self.value())
