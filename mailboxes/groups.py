"""The groups of staff, as the table of rights has them: made by migrations (SPEC A7)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.contrib.auth.management import create_permissions
from django.db.models import Q

from mailboxes.rights import GROUPS


def add_groups(apps: Any, using: str) -> None:
    """Make the groups and give them their permissions. Only adds: what an operator gave a group stays its own.

    `apps` are a migration's: a permission of a table that comes later is left to a later migration.
    """
    names = frozenset().union(*GROUPS.values())
    for label in sorted({name.partition(".")[0] for name in names}):
        _make_permissions(apps, label, using)
    for name, wanted in GROUPS.items():
        group, _ = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=name)
        group.permissions.add(*apps.get_model("auth", "Permission").objects.using(using).filter(_any_of(wanted)))


def _make_permissions(apps: Any, label: str, using: str) -> None:
    """Django makes them after the last migration; here they are needed before. It wants to hear that the app has
    models, which a migration's app does not say."""
    app: Any = SimpleNamespace(label=label, models_module=True)
    create_permissions(app, verbosity=0, using=using, apps=apps)


def _any_of(names: frozenset[str]) -> Q:
    found = Q(pk__in=[])
    for name in names:
        label, _, codename = name.partition(".")
        found |= Q(content_type__app_label=label, codename=codename)
    return found
