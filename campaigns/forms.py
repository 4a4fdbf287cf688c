"""The forms of campaigns: settings and mailboxes, steps, a file of leads, a suppressed address (SPEC K1, K5)."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import available_timezones

from django import forms
from django.core.validators import validate_email
from django.db.models import Max

from campaigns.models import Campaign, LeadMessage
from campaigns.templating import check_template
from mailboxes.models import Mailbox, Workspace

MOST_STEPS = 20
BODY_CHARS = 20_000
ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "US/")))


class CampaignForm(forms.ModelForm[Campaign]):
    """Settings, and the workspace's mailboxes to choose from."""

    class Meta:
        model = Campaign
        fields = (
            "name", "mailboxes", "zone", "window_from", "window_to", "on_weekends", "daily_limit", "spacing_minutes",
            "move_after_days", "track_opens",
        )  # fmt: skip
        labels = {
            "daily_limit": "Messages of one mailbox a day", "spacing_minutes": "Minutes between two messages",
            "move_after_days": "Move a conversation after so many days",
        }  # fmt: skip
        help_texts = {
            "daily_limit": "In all its campaigns together.",
            "spacing_minutes": "Of one mailbox, give or take 30 %.",
            "move_after_days": "Each lead hears from the mailbox that first wrote to it. If that one breaks, the "
            "conversation waits so many days and then goes on from another one. 0 moves at once; empty never does.",
            "track_opens": "Adds a small picture to each message. Many mail programs hide it, or load it unasked.",
            "window_to": "The same time as “from” means all day.",
        }
        widgets = {
            "zone": forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
            "window_from": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "window_to": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }

    def __init__(self, *args: Any, workspace: Workspace, **more: Any) -> None:
        super().__init__(*args, **more)
        self.workspace = workspace
        self.fields["mailboxes"] = forms.ModelMultipleChoiceField(
            queryset=Mailbox.objects.present().filter(workspace=workspace, wants_smtp=True).order_by("address"),
            required=False,
            widget=forms.CheckboxSelectMultiple,
        )

    def clean_name(self) -> str:
        """Once in a workspace."""
        name: str = self.cleaned_data["name"]
        if Campaign.objects.filter(workspace=self.workspace, name=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("There is a campaign of this name already.")
        return name


class StepForm(forms.Form):
    """One message of the sequence."""

    wait_days = forms.IntegerField(label="Days after the step before it", min_value=0, max_value=365, initial=3)
    subject = forms.CharField(
        label="Subject", required=False, max_length=200, validators=[check_template],
        help_text="The first step needs one. Left empty in a later step, it goes into the same conversation.",
    )  # fmt: skip
    body = forms.CharField(
        label="Text", max_length=BODY_CHARS, validators=[check_template], widget=forms.Textarea(attrs={"rows": 8})
    )

    def clean_body(self) -> str:
        """Lines end as ours do."""
        body: str = self.cleaned_data["body"]
        return body.replace("\r\n", "\n")


class BaseSteps(forms.BaseFormSet[StepForm]):
    """The steps by their order. What has been sent can be changed, and not removed: numbers would no longer fit."""

    def __init__(self, data: Any = None, *, campaign: Campaign) -> None:
        self.campaign = campaign
        initial = list(campaign.steps.values("wait_days", "subject", "body")) if campaign.pk else []
        super().__init__(data, initial=initial, prefix="steps")

    def add_fields(self, form: StepForm, index: int | None) -> None:
        """The tick that removes a step, in plain words."""
        super().add_fields(form, index)
        form.fields["DELETE"].label = "Remove this step"

    @property
    def kept(self) -> list[StepForm]:
        """The forms that hold a step."""
        written = [one for one in self.forms if one not in self.extra_forms or one.has_changed()]
        return [one for one in written if not one.cleaned_data.get("DELETE")]

    def clean(self) -> None:
        """What only the whole can tell."""
        if any(self.errors):
            return
        kept = self.kept
        self._refuse_gaps(len(kept))
        if kept and not kept[0].cleaned_data["subject"]:
            kept[0].add_error("subject", "The first step needs a subject.")
        if not kept and self.campaign.state == Campaign.State.RUNNING:
            raise forms.ValidationError("A running campaign needs a step: pause it first.")

    def _refuse_gaps(self, kept: int) -> None:
        sent = sent_steps(self.campaign)
        for form in self.forms[:sent]:
            if form.cleaned_data.get("DELETE"):
                form.add_error(None, "This step has been sent to somebody: it can be changed, and not removed.")
        if kept < sent:
            raise forms.ValidationError("Steps that have been sent to somebody can be changed, and not removed.")


def sent_steps(campaign: Campaign) -> int:
    """The last step that anybody was sent, or that is on its way; 0 for none."""
    if campaign.pk is None:
        return 0
    last = LeadMessage.objects.filter(lead__campaign=campaign).aggregate(last=Max("step"))["last"]
    return last or 0


Steps = cast(
    "type[BaseSteps]",
    forms.formset_factory(
        StepForm,
        formset=BaseSteps,
        extra=1,
        can_delete=True,
        max_num=MOST_STEPS,
        absolute_max=MOST_STEPS + 5,
        validate_max=True,
    ),
)


class LeadsForm(forms.Form):
    """A CSV file."""

    file = forms.FileField(label="CSV file", allow_empty_file=True)


class SuppressForm(forms.Form):
    """An address that is never to be written to."""

    email = forms.CharField(
        label="Email address", max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}), validators=[validate_email],
    )  # fmt: skip

    def clean_email(self) -> str:
        """As leads are kept."""
        email: str = self.cleaned_data["email"]
        return email.strip().lower()
