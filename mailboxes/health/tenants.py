"""SMTP AUTH switched off for a whole Microsoft 365 tenant: one probe for all of it (H10)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Min

from mailboxes.diagnosis.categories import Category
from mailboxes.health.decide import Decision
from mailboxes.models import CheckState, Mailbox

OFF = Category.TENANT_SMTP_DISABLED.value


def probes(decisions: Sequence[Decision]) -> frozenset[int]:
    """Which of the decided mailboxes probe for their tenant: its first one; one of unknown tenant for itself."""
    off = [decision.snapshot for decision in decisions if decision.standing.cause.category == OFF]
    alone = {found.id for found in off if not found.tenant}
    tenants = {found.tenant for found in off if found.tenant}
    if not tenants:
        return frozenset(alone)
    firsts = Mailbox.objects.filter(category=OFF, tenant__in=tenants).order_by().values("tenant").annotate(Min("id"))
    return frozenset(alone | {row["id__min"] for row in firsts})


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
        others = CheckState.objects.filter(mailbox__category=OFF, mailbox__tenant__in=tenants - {""})
        others.update(next_check_at=now)
