"""Rows that are only read: alarms, status changes, the audit log; and OAuth clients, whose secret is write-only."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.widgets import UnfoldAdminPasswordWidget

from mailboxes import clock
from mailboxes.admin.base import ModelAdmin, ReadOnlyAdmin, staff
from mailboxes.admin.incidents import DECIDE
from mailboxes.health import alarms
from mailboxes.models import AuditEntry, OAuthClient, StaffAlarm, StatusChange, UnreadMessage
from mailboxes.models.destination import CLIENT_ADDRESSES
from mailboxes.reconnect.oauth.registrations import Registration, registration


@admin.register(StaffAlarm)
class StaffAlarmAdmin(ReadOnlyAdmin):
    list_display = ("key", "fault", "times_seen", "opened_at", "closed_at")
    list_filter = (("closed_at", admin.EmptyFieldListFilter),)
    actions = ("close", "lift_cap")

    @admin.display(description="fault", ordering="kind")
    def fault(self, obj: StaffAlarm) -> str:
        """In short; the whole text stands on the alarm's page and on the first page."""
        return obj.kind.replace("_", " ").capitalize()

    def has_close_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mailboxes.change_staffalarm")

    @admin.action(description="Close: it has been seen to", permissions=["close"])
    def close(self, request: HttpRequest, queryset: QuerySet[StaffAlarm]) -> None:
        rows, now, user = list(queryset.filter(closed_at__isnull=True)), timezone.now(), request.user
        with transaction.atomic():
            StaffAlarm.objects.filter(pk__in=[row.pk for row in rows]).update(closed_at=now)
            AuditEntry.objects.bulk_create(
                AuditEntry(actor_id=user.pk, action="alarm closed", target=str(row)[:254], at=now) for row in rows
            )
        messages.success(request, f"{len(rows)} closed. It opens again if the fault is met again.")

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(DECIDE)

    @admin.action(description="Lift the cap on reconnect requests for an hour: they are real", permissions=["lift"])
    def lift_cap(self, request: HttpRequest, queryset: QuerySet[StaffAlarm]) -> None:
        lifted = alarms.lift_cap(queryset, clock.now())
        if not lifted:
            messages.warning(request, "Only an open alarm of the cap on reconnect requests can be lifted.")
            return
        AuditEntry.objects.create(actor_id=staff(request).pk, action="cap on flags lifted", at=clock.now())
        messages.success(request, "Lifted for an hour. Those that wait are asked to reconnect within ten minutes.")


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "mailbox", "from_status", "to_status", "to_reason", "category", "source")
    list_select_related = ("mailbox",)
    list_filter = ("to_status",)
    show_full_result_count = False


@admin.register(UnreadMessage)
class UnreadMessageAdmin(ReadOnlyAdmin):
    """What a server announced and did not give."""

    list_display = ("last_at", "mailbox", "folder", "uid", "tries", "noted_at", "reason")
    list_select_related = ("mailbox",)
    list_filter = (("mailbox", AutocompleteSelectFilter),)
    list_filter_submit = True
    show_full_result_count = False


_CLIENT_FIELDS = (
    "name", "client_id", "authorize_url", "token_url", "identity_url", "revoke_url", "scopes", "mail_hosts",
    "secret_expires_on",
)  # fmt: skip


def _url(label: str, help_text: str) -> forms.URLField:
    return forms.URLField(label=label, required=False, assume_scheme="https", help_text=help_text)


class OAuthClientForm(forms.ModelForm[OAuthClient]):
    """Named “google” or “microsoft” it is the sign-in of that provider; what is left empty is filled in for these."""

    authorize_url = _url("Authorization URL", "Where the customer consents.")
    token_url = _url("Token URL", "Must begin with https://")
    identity_url = _url("Identity URL", "Google: user info. Microsoft: OpenID configuration.")
    revoke_url = _url("Revocation URL", "Where a grant is given back; empty where nowhere.")
    new_secret = forms.CharField(
        label="New client secret", required=False, strip=True, widget=UnfoldAdminPasswordWidget,
        help_text="Write-only. Empty keeps the stored one.",
    )  # fmt: skip

    class Meta:
        model = OAuthClient
        fields = _CLIENT_FIELDS

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        known = registration(values.get("name") or "")
        if known is not None:
            self._take_known(values, known)
        self._refuse_another_destination(values)
        if not values.get("token_url"):
            self.add_error("token_url", "Needed for a provider that is neither google nor microsoft.")
        if self.instance.pk is None and not values.get("new_secret"):
            self.add_error("new_secret", "A new client needs its secret: enter it here.")
        return values

    def _take_known(self, values: dict[str, Any], known: Registration) -> None:
        """Google's and Microsoft's addresses are facts and no settings (S7); the sandbox stands in for them only where
        private networks are opened, which production refuses."""
        for name in CLIENT_ADDRESSES:
            fact = getattr(known, name)
            values[name] = (values.get(name) or fact) if settings.MAIL_ALLOWED_NETWORKS else fact
        values["scopes"] = values.get("scopes") or " ".join(known.scopes)
        hosts = " ".join(known.mail_hosts)
        values["mail_hosts"] = (values.get("mail_hosts") or hosts) if settings.MAIL_ALLOWED_NETWORKS else hosts

    def _refuse_another_destination(self, values: dict[str, Any]) -> None:
        """A stored secret goes only where it was given for: other addresses need it anew."""
        for name in CLIENT_ADDRESSES:
            if values.get(name) and not values[name].startswith("https://"):
                self.add_error(name, "Must begin with https://.")
        if self.instance.pk is None or values.get("new_secret"):
            return
        before = OAuthClient.objects.defer("client_secret").get(pk=self.instance.pk)
        for name in (*CLIENT_ADDRESSES, "mail_hosts", "name"):
            if (values.get(name) or "") != getattr(before, name):
                self.add_error(name, "Another address needs the client secret again: enter it below.")


@admin.register(OAuthClient)
class OAuthClientAdmin(ModelAdmin[OAuthClient]):
    form = OAuthClientForm
    list_display = ("name", "client_id", "token_url", "secret_expires_on")
    audited_values = _CLIENT_FIELDS

    def get_queryset(self, request: HttpRequest) -> QuerySet[OAuthClient]:
        return super().get_queryset(request).defer("client_secret")

    def save_model(self, request: HttpRequest, obj: OAuthClient, form: Any, change: bool) -> None:
        secret = form.cleaned_data.get("new_secret")
        if secret:
            obj.give_secret(secret)
        fields = [*_CLIENT_FIELDS, *(["client_secret", "destination"] if secret else [])]
        obj.save(update_fields=fields if change else None)
