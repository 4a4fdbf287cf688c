"""Campaigns: list and page, what staff start and pause, and leads from a file (SPEC K1 to K3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin as DjangoModelAdmin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from campaigns import changes, deeds
from campaigns.admin.forms import CampaignForm
from campaigns.admin.importing import import_leads
from campaigns.held import held, where_held
from campaigns.lacking import warning
from campaigns.models import Campaign, Step
from campaigns.numbers import Numbers, numbers
from mailboxes.admin.badges import badge, list_url, page_link
from mailboxes.admin.base import LongAdmin, StackedInline, staff
from mailboxes.admin.posts import posted
from mailboxes.rights import STAFF, Deed
from mailboxes.states import Status

CHANGE = STAFF[Deed.WRITE_CAMPAIGN]
State = Campaign.State


class DoingFilter(admin.SimpleListFilter):
    """What a person wants of it, and whether it can (K3)."""

    title = "state"
    parameter_name = "doing"

    def lookups(self, request: HttpRequest, model_admin: DjangoModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        return (
            ("running", "Running"),
            ("held", "Held"),
            ("paused", "Paused by a person"),
            ("draft", "Draft"),
            ("finished", "Finished"),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> QuerySet[Campaign]:
        if self.value() == "held":
            return where_held(queryset)
        if self.value() == "running":
            return queryset.filter(state=State.RUNNING).exclude(pk__in=where_held(Campaign.objects.all()).values("pk"))
        return queryset.filter(state=self.value()) if self.value() else queryset


class StepInline(StackedInline[Step, Campaign]):
    """The steps in their order. Once it has run they can be changed, and not removed: numbers would no longer fit."""

    model = Step
    extra = 0
    fields = ("wait_days", "subject", "body")

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        return obj is None or (obj.state == State.DRAFT and super().has_delete_permission(request, obj))


@admin.register(Campaign)
class CampaignAdmin(LongAdmin):
    """Whether it runs is changed by Start and Pause alone."""

    writes_own_audit = True
    form = CampaignForm
    list_display = ("name", "state_badge", "workspace_link", "boxes", "leads_count", "sent", "replied", "bounced")
    list_filter = (DoingFilter, ("workspace", AutocompleteSelectFilter))
    list_select_related = ("workspace",)
    search_fields = ("name",)
    search_help_text = "Words of its name"
    ordering = ("name", "id")
    autocomplete_fields = ("workspace", "mailboxes")
    inlines = (StepInline,)
    change_form_outer_before_template = "admin/campaigns/campaign/standing.html"
    fieldsets = (
        (None, {"fields": ("workspace", "name", "mailboxes")}),
        ("When it sends", {"fields": ("zone", ("window_from", "window_to"), "on_weekends")}),
        ("How much", {"fields": (("daily_limit", "spacing_minutes"), "move_after_days", "track_opens")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Campaign | None = None) -> tuple[str, ...]:
        """A campaign stays with its workspace: leads and suppressions do."""
        return ("workspace",) if obj is not None else ()

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """One draft at a time: the history of what was sent stays."""
        return obj is not None and obj.state == State.DRAFT and super().has_delete_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/start/", view(posted(Campaign, CHANGE, _start)), name="campaign_start"),
            path("<int:pk>/pause/", view(posted(Campaign, CHANGE, _pause)), name="campaign_pause"),
            path("<int:pk>/import/", view(import_leads(self)), name="campaign_import"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        return super().change_view(
            request, object_id, form_url, (standing(found) if found else {}) | (extra_context or {})
        )

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        if not change:
            obj.save()  # a stored one is written with its steps, below

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """New steps come last."""
        steps = formset.save(commit=False)
        last = max((step.number for step in form.instance.steps.all()), default=0)
        for number, step in enumerate((one for one in steps if one.pk is None), last + 1):
            step.number = number
        super().save_formset(request, form, formset, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        campaign: Campaign = form.instance
        steps = list(campaign.steps.values("wait_days", "subject", "body"))
        boxes = list(form.cleaned_data["mailboxes"])
        deeds.write(campaign, boxes, steps, acting_user=staff(request), now=timezone.now())
        if told := warning(campaign):
            messages.warning(request, told)

    def dress(self, rows: Sequence[Campaign]) -> None:
        reasons, counted, boxes = held(rows), numbers(rows), _boxes(rows)
        for row in rows:
            vars(row).update(why=reasons.get(row.pk), counted=counted[row.pk], boxes=boxes.get(row.pk, (0, 0)))

    # ---- columns

    @admin.display(description="state", ordering="state")
    def state_badge(self, obj: Campaign) -> SafeString:
        return state_badge(obj, vars(obj)["why"])

    @admin.display(description="workspace", ordering="workspace__name")
    def workspace_link(self, obj: Campaign) -> SafeString | str:
        return page_link(obj.workspace)

    @admin.display(description="mailboxes that work")
    def boxes(self, obj: Campaign) -> str:
        return "{} of {}".format(*vars(obj)["boxes"])

    @admin.display(description="leads")
    def leads_count(self, obj: Campaign) -> int:
        return _counted(obj).total

    @admin.display(description="sent")
    def sent(self, obj: Campaign) -> int:
        return _counted(obj).sent

    @admin.display(description="replied")
    def replied(self, obj: Campaign) -> int:
        return _counted(obj).replied

    @admin.display(description="bounced")
    def bounced(self, obj: Campaign) -> int:
        return _counted(obj).bounced


def state_badge(campaign: Campaign, why: Any) -> SafeString:
    """Held, with the reason in its title, or what a person wants."""
    return badge("Held", title=why.reason) if why else badge(campaign.get_state_display())


def standing(campaign: Campaign) -> dict[str, Any]:
    """What the page tells above the settings."""
    why = held([campaign]).get(campaign.pk)
    works, boxes = _boxes([campaign]).get(campaign.pk, (0, 0))
    return {
        "why": why,
        "badge": state_badge(campaign, why),
        "counted": numbers([campaign])[campaign.pk],
        "works": works,
        "boxes": boxes,
        "lacks": changes.missing(campaign) if campaign.state != State.RUNNING else "",
        "holes": warning(campaign),
        "leads_url": list_url("campaigns_lead", campaign__id__exact=campaign.pk),
    }


def _counted(obj: Campaign) -> Numbers:
    found: Numbers = vars(obj)["counted"]
    return found


def _boxes(campaigns: Sequence[Campaign]) -> dict[int, tuple[int, int]]:
    """Of each campaign: mailboxes that work, and all of them; one query."""
    links = Campaign.mailboxes.through.objects.filter(campaign__in=[one.pk for one in campaigns]).order_by()
    working = Q(mailbox__status=Status.CONNECTED, mailbox__held_since__isnull=True, mailbox__wants_smtp=True)
    rows = links.values("campaign").annotate(works=Count("id", filter=working), every=Count("id"))
    return {row["campaign"]: (row["works"], row["every"]) for row in rows}


def _start(request: HttpRequest, campaign: Campaign) -> None:
    try:
        changes.start(campaign, acting_user=staff(request), now=timezone.now())
    except changes.CannotStart as lacks:
        messages.error(request, str(lacks))
    else:
        messages.success(request, "Started.")


def _pause(request: HttpRequest, campaign: Campaign) -> None:
    changes.pause(campaign, acting_user=staff(request), now=timezone.now())
    messages.success(request, "Paused. Only a person starts it again.")
