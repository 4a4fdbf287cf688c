"""What every form with mail servers checks, in the admin and on the customers' pages (SPEC S2, S3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from mailboxes.health.outgoing import from_settings
from mailboxes.wire.addresses import Refused, normal_host
from mailboxes.wire.clean import BadText, refuse_control

MISSING_HOST = "Type the server's name, as in mail.example.com: neither address nor MX record tells the provider."


def refuse_control_characters(form: forms.Form | forms.ModelForm[Any], names: Iterable[str]) -> None:
    """An error at each field that holds a control character, before any library sees it."""
    for name in set(names) & form.fields.keys():
        try:
            refuse_control(form.cleaned_data.get(name) or "", str(form.fields[name].label or name))
        except BadText as bad:
            form.add_error(name, str(bad))


def check_place(form: forms.Form | forms.ModelForm[Any], values: dict[str, Any], leg: str) -> None:
    """The leg's host in its normal form, or an error at its host or port."""
    try:
        values[f"{leg}_host"] = normal_host(values.get(f"{leg}_host") or "")
    except Refused as refused:
        form.add_error(f"{leg}_host", str(refused) if values.get(f"{leg}_host") else MISSING_HOST)
    try:
        from_settings().mail.policy.check_port(values.get(f"{leg}_port") or 0)
    except Refused as refused:
        form.add_error(f"{leg}_port", str(refused).capitalize() + ".")
