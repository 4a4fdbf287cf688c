"""The admin's forms of campaigns."""

from __future__ import annotations

from typing import Any

from django import forms

from campaigns.models import Campaign, Suppression


class CampaignForm(forms.ModelForm[Campaign]):
    """A campaign's mailboxes are its workspace's."""

    class Meta:
        model = Campaign
        fields = (
            "workspace", "name", "mailboxes", "zone", "window_from", "window_to", "on_weekends", "daily_limit",
            "spacing_minutes", "move_after_days", "track_opens",
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        workspace = values.get("workspace") or (self.instance.workspace if self.instance.pk else None)
        strange = [one for one in values.get("mailboxes") or () if workspace and one.workspace_id != workspace.pk]
        if strange:
            told = ", ".join(str(one) for one in strange)
            self.add_error("mailboxes", f"Of another workspace: {told}. Choose mailboxes of {workspace}.")
        return values


class LeadsFileForm(forms.Form):
    """A CSV file. `checked` names the file that was looked at before: only that very one is imported."""

    file = forms.FileField(label="CSV file", allow_empty_file=True)
    checked = forms.CharField(required=False, widget=forms.HiddenInput)


class SuppressionForm(forms.ModelForm[Suppression]):
    """An address that its workspace never writes to again."""

    class Meta:
        model = Suppression
        fields = ("workspace", "email")

    def clean_email(self) -> str:
        """As leads are kept."""
        email: str = self.cleaned_data["email"]
        return email.strip().lower()
