"""The budget of refused logins in the database, shared by all workers (SPEC X6)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from mailboxes.diagnosis.categories import Category, Course
from mailboxes.health.budget import HostAccount, budget_key, limit_for, unpack_account
from mailboxes.health.decide import Decision
from mailboxes.health.policy import MAIL_LEGS
from mailboxes.health.targets import Subject
from mailboxes.models import HostBudget
from mailboxes.models.sets import update_rows
from mailboxes.wire.values import Stage

_COUNTS = frozenset({Course.REFUSAL, Course.UNSURE})


@transaction.atomic
def admit(subjects: Sequence[Subject], now: datetime) -> list[Subject]:
    """Return those whose logins have room at their hosts, their places taken; the others come back with their lease.

    Only hosts of providers that we do not know are counted here: three queries for all of them.
    """
    wanted = {one.mailbox_id: Counter(_keys(one)) for one in subjects if not one.provider}
    names = {name for keys in wanted.values() for name in keys}
    names |= {budget_key(one.imap_also.host) for one in subjects if not one.provider and one.imap_also is not None}
    if not names:
        return list(subjects)
    accounts = _locked(names)
    admitted = [one for one in subjects if one.provider or _take(one.mailbox_id, wanted, accounts, now)]
    admitted = [_cross_checked_if_room(one, accounts, now) for one in admitted]
    _write(accounts)
    return admitted


def _keys(subject: Subject) -> list[str]:
    return [budget_key(place.host) for place in (subject.smtp, subject.imap) if place is not None]


def _cross_checked_if_room(subject: Subject, accounts: Mapping[str, HostAccount], now: datetime) -> Subject:
    """A refused send is cross-checked by IMAP at once (X3) where that login has room too; else the next check asks."""
    if subject.provider or subject.imap_also is None or subject.grant is not None:
        return subject
    name = budget_key(subject.imap_also.host)
    own = Counter(_keys(subject))[name]
    account = accounts.get(name)
    if account is None or account.room(limit_for(""), now) < 1:
        return replace(subject, imap_also=None)
    account.taken.pop(subject.mailbox_id, None)
    account.take(subject.mailbox_id, own + 1, limit_for(""), now)
    return subject


def _take(
    mailbox_id: int, wanted: Mapping[int, Counter[str]], accounts: Mapping[str, HostAccount], now: datetime
) -> bool:
    limit = limit_for("")
    needed = wanted[mailbox_id]
    if any(accounts[name].room(limit, now) < logins for name, logins in needed.items()):
        return False
    return all(accounts[name].take(mailbox_id, logins, limit, now) for name, logins in needed.items())


def settle(decisions: Iterable[Decision], now: datetime) -> None:
    """Give the places of these mailboxes back, and count what was refused. In the caller's transaction."""
    refused: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for decision in decisions:
        hosts = decision.snapshot.budget_keys
        for name in hosts.values():
            refused[name][decision.snapshot.id] += 0
        for filed in decision.filed:
            step = filed.evidence.failure
            at_login = step is not None and step.stage is Stage.AUTH and filed.evidence.leg in MAIL_LEGS
            is_probe = filed.diagnosis.category is Category.TENANT_SMTP_DISABLED
            if at_login and not is_probe and filed.diagnosis.course in _COUNTS and filed.evidence.leg in hosts:
                refused[hosts[filed.evidence.leg]][decision.snapshot.id] += 1
    if refused:
        accounts = _locked(refused, make=any(sum(counted.values()) for counted in refused.values()))
        for name, counted in refused.items():
            for mailbox_id, times in counted.items():
                if name in accounts:
                    accounts[name].settle(mailbox_id, times, now)
        _write(accounts)


def _locked(names: Iterable[str], *, make: bool = True) -> dict[str, HostAccount]:
    wanted = sorted(set(names))
    if make:
        HostBudget.objects.bulk_create([HostBudget(host=name) for name in wanted], ignore_conflicts=True)
    rows = HostBudget.objects.select_for_update().filter(host__in=wanted).order_by("host")
    return {row.host: unpack_account(row.refused, row.taken) for row in rows}


def _write(accounts: Mapping[str, HostAccount]) -> None:
    update_rows(HostBudget, [{"pk": name, **account.packed()} for name, account in sorted(accounts.items())])
