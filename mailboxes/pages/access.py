"""What a signed-in person may see: a member their workspaces' mailboxes, staff with the right any (SPEC S5, A5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from mailboxes.models import Mailbox, Membership, Trial, Workspace
from mailboxes.pages.client import number

RECONNECT = "mailboxes.reconnect_mailbox"
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def private(view: View[P]) -> View[P]:
    """For signed-in people, and kept by no cache."""

    @never_cache
    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        return view(request, *args, **kwargs)

    return guarded


def person(request: HttpRequest) -> User:
    """Who is signed in, on a private page."""
    assert isinstance(request.user, User)
    return request.user


def workspaces_of(user: User) -> QuerySet[Workspace]:
    """The workspaces that the person is a member of."""
    return Workspace.objects.filter(memberships__user=user)


def current_workspace(request: HttpRequest) -> Workspace:
    """The one that was chosen last, else the first. Raises Http404 for a person without any."""
    mine = workspaces_of(person(request))
    wanted = number(request.GET.get("workspace", ""))
    if wanted and (chosen := mine.filter(pk=wanted).first()) is not None:
        request.session["workspace"] = chosen.pk
        return chosen
    kept = mine.filter(pk=request.session.get("workspace", 0)).first()
    found = kept or mine.first()
    if found is None:
        raise Http404("You are not a member of any workspace.")
    return found


def acts_as_staff(request: HttpRequest, workspace: Workspace) -> bool:
    """True where the person may act on it by their right as staff, and not as a member."""
    user = person(request)
    if Membership.objects.filter(user=user, workspace=workspace).exists():
        return False
    return user.is_staff and user.has_perm(RECONNECT)


def workspace_for(request: HttpRequest, pk: int) -> Workspace:
    """A workspace that the person may act on. Raises Http404 for every other, whether it is there or not."""
    found = Workspace.objects.filter(pk=pk).first()
    if found is None or not _may_act(person(request), found.pk):
        raise Http404
    return found


def mailbox_for(request: HttpRequest, pk: int) -> Mailbox:
    """A mailbox that the person may act on. Raises Http404 for every other, whether it is there or not."""
    found = Mailbox.objects.present().select_related("workspace").filter(pk=pk).first()
    if found is None or not _may_act(person(request), found.workspace_id):
        raise Http404
    return found


def trial_for(request: HttpRequest, pk: int) -> Trial:
    """A test of the person's workspaces. Raises Http404 for every other."""
    found = Trial.objects.select_related("workspace", "mailbox", "candidate").filter(pk=pk).first()
    if found is None or not _may_act(person(request), found.workspace_id):
        raise Http404
    return found


def _may_act(user: User, workspace_id: int) -> bool:
    if Membership.objects.filter(user=user, workspace_id=workspace_id).exists():
        return True
    return user.is_staff and user.has_perm(RECONNECT)


def owner_only(request: HttpRequest, workspace: Workspace) -> None:
    """Raise Http404 unless the person owns the workspace."""
    mine: dict[str, Any] = {"user": person(request), "workspace": workspace, "role": Membership.Role.OWNER}
    if not Membership.objects.filter(**mine).exists():
        raise Http404
