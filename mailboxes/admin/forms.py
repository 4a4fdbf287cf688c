"""The mailbox form of the admin: settings, and secrets that can be written and never read (SPEC A5, C2)."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget

from mailboxes.formchecks import check_place, refuse_control_characters
from mailboxes.health.outgoing import from_settings
from mailboxes.models import Mailbox
from mailboxes.providers.discovery import Found, Origin, discover
from mailboxes.providers.presets import by_address, by_id, names
from mailboxes.reconnect.settings import SETTINGS, server_settings

ANEW = "A changed server needs the password again: use “Update credentials”, which tests both."
SECRETS = ("new_password", "new_imap_password")
_TEXTS = ("smtp_username", "imap_username", "imap_folder", "new_password", "new_imap_password")


def _secret(label: str, help_text: str) -> forms.CharField:
    widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, required=False, strip=False, widget=widget, help_text=help_text)


class MailboxForm(forms.ModelForm[Mailbox]):
    """Empty hosts are filled from the provider's preset. Errors name the field and the fix; nothing is stored then."""

    new_password = _secret("New password or app password", "Write-only. Empty keeps the stored one.")
    new_imap_password = _secret(
        "New IMAP password", "Only where IMAP has a password of its own; empty: the same login."
    )
    provider = forms.ChoiceField(
        required=False,
        choices=[("", "Recognise from the address"), *names()],
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = Mailbox
        fields = ("workspace", "address", "provider", *SETTINGS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("smtp_host", "imap_host", "smtp_username", "imap_username"):
            if name in self.fields:
                self.fields[name].required = False
        if self.instance.pk is not None:
            for name in SECRETS:  # replaced after a test alone (C6)
                self.fields.pop(name)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        refuse_control_characters(self, _TEXTS)
        self._fill_from_preset(values)
        for leg in ("smtp", "imap"):
            if values.get(f"wants_{leg}"):
                check_place(self, values, leg)
        if not (values.get("wants_smtp") or values.get("wants_imap")):
            self.add_error("wants_smtp", "A mailbox must send, read, or both: tick one.")
        self._refuse_another_destination(values)
        if self.instance.pk is None and not values.get("new_password"):
            self.add_error("new_password", "A new mailbox needs a password: enter it here.")
        return values

    def _refuse_another_destination(self, values: dict[str, Any]) -> None:
        """S7: a stored secret goes only where it was given for. New servers are entered with the secret, on the
        customer's page, where they are tested first."""
        if self.instance.pk is None:
            return
        before = Mailbox.objects.get(pk=self.instance.pk)
        for leg in ("smtp", "imap"):
            for name in (f"{leg}_host", f"{leg}_username"):
                if values.get(f"wants_{leg}") and _other(values.get(name, ""), getattr(before, name), before.address):
                    self.add_error(name, ANEW)
        if "workspace" in values and values["workspace"] != before.workspace:
            self.add_error("workspace", "A mailbox never changes its workspace. Connect it anew in the other one.")

    @property
    def secrets_given(self) -> bool:
        """True where a secret was typed."""
        return any(self.cleaned_data.get(name) for name in SECRETS)

    @property
    def settings_changed(self) -> list[str]:
        """Settings that are others than before."""
        before = self.initial
        return [name for name in SETTINGS if name in self.cleaned_data and self.cleaned_data[name] != before.get(name)]

    def _fill_from_preset(self, values: dict[str, Any]) -> None:
        preset = by_id(values.get("provider") or "") or by_address(values.get("address") or "")
        if preset is not None:
            found = Found(Origin.TABLE, preset, preset.smtp, preset.imap)
        elif self._asks_for_hosts(values):
            found = discover(values.get("address") or "", from_settings().mail.resolver, from_settings().tokens)
        else:
            return
        if found.preset is not None:
            values["provider"] = values.get("provider") or found.preset.id
            if found.imap is None and not values.get("imap_host"):
                values["wants_imap"] = False
        for leg, place in (("smtp", found.smtp), ("imap", found.imap)):
            if place is not None and not values.get(f"{leg}_host"):
                values |= server_settings(leg, place)
        self.cleaned_data.update(values)

    def _asks_for_hosts(self, values: dict[str, Any]) -> bool:
        """True where a host that is wanted was left empty: only then is the domain asked for its provider."""
        return any(values.get(f"wants_{leg}") and not values.get(f"{leg}_host") for leg in ("smtp", "imap"))


def _other(new: str, old: str, address: str) -> bool:
    """Another host or user name; an empty user name is the address."""
    return (new or address).lower().rstrip(".") != (old or address).lower().rstrip(".")
