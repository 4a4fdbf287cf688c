"""The credentials form: SMTP and IMAP, the same login for both unless said otherwise (SPEC C2, C4). Secrets are
write-only: no answer of ours holds one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from django import forms

from mailboxes.formchecks import check_place, refuse_control_characters
from mailboxes.models import Mailbox
from mailboxes.models.mailbox import SECURITY_CHOICES
from mailboxes.providers.presets import Preset, by_id
from mailboxes.providers.review import Draft, Warned, review, ungrouped
from mailboxes.reconnect import fingerprints
from mailboxes.reconnect.credentials import Password
from mailboxes.reconnect.settings import SETTINGS
from mailboxes.wire.values import Endpoint, Leg, Security

_TEXTS = ("smtp_username", "imap_username", "imap_folder", "password", "imap_password")


def _secret(label: str, help_text: str = "") -> forms.CharField:
    attributes = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
    widget = forms.PasswordInput(render_value=False, attrs=attributes)
    return forms.CharField(
        label=label, required=False, strip=False, max_length=1000, widget=widget, help_text=help_text
    )


def _text(label: str, help_text: str = "", longest: int = 254, choices: str = "") -> forms.CharField:
    attributes = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
    widget = forms.TextInput(attrs=attributes | ({"list": choices} if choices else {}))
    return forms.CharField(label=label, required=False, max_length=longest, widget=widget, help_text=help_text)


def _port(label: str, usual: int, help_text: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, initial=usual, min_value=1, max_value=65535, help_text=help_text)


class CredentialsForm(forms.Form):
    """Settings and secrets of one mailbox. `reviewed` holds the warnings that the person has seen and passes over."""

    password = _secret("Password or app password")
    same_login = forms.BooleanField(label="Same login for sending and reading", required=False, initial=True)
    wants_smtp = forms.BooleanField(label="Send mail (SMTP)", required=False, initial=True)
    smtp_host = _text("SMTP server", longest=253)
    smtp_port = _port("SMTP port", 465, "465 with SSL/TLS; if that does not answer, 587 with STARTTLS.")
    smtp_security = forms.ChoiceField(label="SMTP security", choices=SECURITY_CHOICES, required=False)
    smtp_username = _text("SMTP user name", "Empty: the address.")
    wants_imap = forms.BooleanField(label="Read replies (IMAP)", required=False, initial=True)
    imap_host = _text("IMAP server", longest=253)
    imap_port = _port("IMAP port", 993, "993 with SSL/TLS; if that does not answer, 143 with STARTTLS.")
    imap_security = forms.ChoiceField(label="IMAP security", choices=SECURITY_CHOICES, required=False)
    imap_username = _text("IMAP user name", "Empty: the same as for sending.")
    imap_password = _secret("IMAP password", "Only where it is another one.")
    imap_folder = _text("Folder to read", longest=255, choices="folders")
    reviewed = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, address: str, provider: str, mailbox: Mailbox | None = None, **more: Any):
        super().__init__(data, **more)
        self.address, self.mailbox = address, mailbox
        self.preset: Preset | None = by_id(provider)
        self.warnings: list[Warned] = []

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        refuse_control_characters(self, _TEXTS)
        for leg in Leg.SMTP, Leg.IMAP:
            if values.get(f"wants_{leg.value}"):
                check_place(self, values, leg.value)
                values[f"{leg.value}_security"] = values.get(f"{leg.value}_security") or _usual(values, leg)
        if not (values.get("wants_smtp") or values.get("wants_imap")):
            self.add_error("wants_smtp", "A mailbox must send, read, or both: tick one.")
        if not values.get("password"):
            self.add_error("password", "Enter the password or app password.")
        values["password"] = ungrouped(values.get("password") or "")
        values["imap_folder"] = values.get("imap_folder") or "INBOX"
        if values.get("same_login"):
            values["imap_password"], values["imap_username"] = "", values.get("imap_username") or ""
        return values

    @property
    def place(self) -> dict[str, Any]:
        """The settings, named as on Mailbox. A leg that is not wanted keeps what it had."""
        values = {name: self.cleaned_data[name] for name in SETTINGS if name in self.cleaned_data}
        if self.mailbox is not None:
            for leg in ("smtp", "imap"):
                if not values[f"wants_{leg}"]:
                    values |= {name: getattr(self.mailbox, name) for name in SETTINGS if name.startswith(f"{leg}_")}
        if not values.get("imap_username"):
            values["imap_username"] = values.get("smtp_username") or ""
        return values | {"provider": self.preset.id if self.preset else ""}

    @property
    def secret(self) -> Password:
        """What was typed."""
        return Password(self.cleaned_data["password"], self.cleaned_data.get("imap_password") or "")

    def unseen_warnings(self, workspace_id: int) -> bool:
        """Look for warnings. True where there are some that the person has not passed over yet."""
        typed = self.data.get("password") or ""
        draft = Draft(
            address=self.address,
            smtp=_endpoint(self.cleaned_data, Leg.SMTP),
            imap=_endpoint(self.cleaned_data, Leg.IMAP),
            smtp_username=self.cleaned_data.get("smtp_username") or "",
            imap_username=self.cleaned_data.get("imap_username") or "",
            password=typed,
        )
        self.warnings = [warned for warned in review(draft, self.preset) if not _mended(warned, typed)]
        self.warnings += self._known_refused(workspace_id)
        return bool(self.warnings) and self.cleaned_data["reviewed"] != self.review_mark

    @property
    def review_mark(self) -> str:
        """Names the warnings that stand, for `reviewed`."""
        words = "\n".join(f"{warned.field} {warned.text}" for warned in self.warnings)
        return hashlib.sha256(words.encode()).hexdigest()

    def _known_refused(self, workspace_id: int) -> list[Warned]:
        at = fingerprints.refused_at(workspace_id, self.address, self.place, self.secret)
        if at is not None:
            words = f"This very password was refused on {at:%-d %B at %H:%M} UTC. Type another, or test it once more."
            return [Warned("password", words)]
        if self.mailbox is not None and fingerprints.is_the_refused_one(self.mailbox, self.secret):
            return [Warned("password", "This is the stored password, which is refused. Type the new one.")]
        return []


def initial_of(mailbox: Mailbox) -> dict[str, Any]:
    """A mailbox's settings for the form; no secret."""
    values = {name: getattr(mailbox, name) for name in SETTINGS}
    return values | {"same_login": mailbox.imap_username in ("", mailbox.smtp_username)}


def initial_of_place(place: Mapping[str, Any]) -> dict[str, Any]:
    """Discovered settings for the form."""
    return {name: value for name, value in place.items() if name in SETTINGS}


def _usual(values: Mapping[str, Any], leg: Leg) -> str:
    implicit = values.get(f"{leg.value}_port") in (465, 993)
    return Security.SSL.value if implicit else Security.STARTTLS.value


def _endpoint(values: Mapping[str, Any], leg: Leg) -> Endpoint | None:
    if not values.get(f"wants_{leg.value}"):
        return None
    name = leg.value
    return Endpoint(values[f"{name}_host"], values[f"{name}_port"], Security(values[f"{name}_security"]))


def _mended(warned: Warned, typed: str) -> bool:
    """Spaces inside an app password are taken out before the test: nothing to pass over."""
    return warned.field == "password" and ungrouped(typed) != typed
