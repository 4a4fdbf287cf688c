"""What a member of staff may do to other people's accounts: never more than they may do themselves (SEC-14)."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest

GIVES_OWN_ALONE = "You can give or take only what you may do yourself: ask a superuser."


def may_touch(request: HttpRequest, other: User | None) -> bool:
    """Return whether this person's account may be changed: whoever may do more could be impersonated."""
    me = request.user
    if other is None or me.is_superuser:
        return True
    return isinstance(me, User) and not other.is_superuser and _every(other) <= me.get_all_permissions()


def own_permissions(request: HttpRequest) -> QuerySet[Permission]:
    """Return what the person may do, as rows."""
    me, rows = request.user, Permission.objects.all()
    if me.is_superuser:
        return rows
    return rows.filter(Q(user=me) | Q(group__user=me)).distinct()


def own_groups(request: HttpRequest) -> QuerySet[Group]:
    """Return the groups that the person may put others into: those whose every permission they hold."""
    if request.user.is_superuser:
        return Group.objects.all()
    beyond = Permission.objects.exclude(pk__in=own_permissions(request).values("pk"))
    return Group.objects.exclude(permissions__in=beyond)


def beyond_own(before: Iterable[object], after: Iterable[object], own: Iterable[object]) -> set[object]:
    """Return what is given or taken that is not one's own."""
    return (set(before) ^ set(after)) - set(own)


def _every(user: User) -> set[str]:
    """As if the account were active: a sleeping one can be woken."""
    rows = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return {f"{label}.{name}" for label, name in rows.values_list("content_type__app_label", "codename")}
