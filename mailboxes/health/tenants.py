"""SMTP AUTH switched off for a whole Microsoft 365 tenant: one probe for all of it (H10)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models import Min, QuerySet

from mailboxes.diagnosis.categories import Category, Course
from mailboxes.health.decide import Decision
from mailboxes.health.numbers import in_force
from mailboxes.models import CheckState, Mailbox
from mailboxes.wire.values import Leg

OFF = Category.TENANT_SMTP_DISABLED.value
# Switched off for one mailbox and not for its tenant (FACTS A38): it probes for itself.
FOR_ONE_MAILBOX = "smtp-5.7.139-mailbox"
# A tenant whose probe is this much overdue has none any more.
_SILENT_FOR = timedelta(minutes=3)


def probes(decisions: Sequence[Decision]) -> frozenset[int]:
    """Return which of the decided mailboxes probe for their tenant: the first one that can log in; one that is
    switched off for itself, or whose tenant is unknown, probes for itself."""
    off = [decision for decision in decisions if decision.standing.cause.category == OFF]
    alone = {one.snapshot.id for one in off if not one.snapshot.tenant or _is_for_itself(one)}
    able = [one for one in off if one.snapshot.id not in alone and _can_log_in(one)]
    tenants = {one.snapshot.tenant for one in able}
    if not tenants:
        return frozenset(alone)
    first = _firsts(tenants, without={one.snapshot.id for one in off})
    for one in able:
        tenant = one.snapshot.tenant
        first[tenant] = min(one.snapshot.id, first.get(tenant, one.snapshot.id))
    return frozenset(alone | {one.snapshot.id for one in able if first[one.snapshot.tenant] == one.snapshot.id})


def _is_for_itself(decision: Decision) -> bool:
    return decision.standing.cause.rule == FOR_ONE_MAILBOX


def _can_log_in(decision: Decision) -> bool:
    """A probe whose consent or other password is refused would never be tried."""
    return not any(state.is_refused and state.category != OFF for state in decision.legs.values())


def _of_tenants(tenants: Collection[str] | None = None) -> QuerySet[Mailbox]:
    """The mailboxes that stand under this cause for their tenant, by an index that holds no others."""
    found = Mailbox.objects.filter(category=OFF, removed_at__isnull=True).exclude(tenant="").order_by()
    found = found.exclude(cause_rule=FOR_ONE_MAILBOX)
    return found if tenants is None else found.filter(tenant__in=tenants)


def _firsts(tenants: Collection[str], without: Collection[int]) -> dict[str, int]:
    rows = _able(_of_tenants(tenants)).exclude(id__in=without).values("tenant").annotate(first=Min("id"))
    return {row["tenant"]: row["first"] for row in rows}


def _able(rows: QuerySet[Mailbox]) -> QuerySet[Mailbox]:
    refused = {f"check_state__{leg.value}__course": Course.REFUSAL.value for leg in (Leg.IMAP, Leg.OAUTH)}
    rows = rows.filter(credential__isnull=False)
    for path, value in refused.items():
        rows = rows.exclude(**{path: value})
    return rows


def revive(now: datetime) -> int:
    """Make due the first able mailbox of each tenant that nobody probes for, whatever became of its probe (HLT-5).

    Returns how many. One query where all is well.
    """
    numbers = in_force()
    late = now + max(numbers.tenant_probe_every, numbers.tenant_probe_later) + _SILENT_FOR
    soonest = _able(_of_tenants()).values("tenant").annotate(due=Min("check_state__next_check_at"), first=Min("id"))
    orphaned = [row["first"] for row in soonest if row["due"] is None or row["due"] > late]
    return CheckState.objects.filter(mailbox_id__in=orphaned).update(next_check_at=now) if orphaned else 0


def wake_the_others(decisions: Sequence[Decision], now: datetime) -> None:
    """Where a mailbox left this cause, its tenant's others are due now: the setting is back, or a probe is gone."""
    left = {
        decision.snapshot.tenant
        for decision in decisions
        if decision.snapshot.standing.cause.category == OFF and decision.standing.cause.category != OFF
    }
    wake(left, now)


def wake(tenants: set[str], now: datetime) -> None:
    """Make due whoever of these tenants still stands under this cause."""
    if tenants - {""}:
        others = _of_tenants(tenants - {""}).values("id")
        CheckState.objects.filter(mailbox_id__in=others).update(next_check_at=now)
