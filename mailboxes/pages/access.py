"""What a signed-in person may see: a member their workspaces' mailboxes, staff with the right any (SPEC S5, A5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from mailboxes.models import Mailbox, Membership, Trial, Workspace
from mailboxes.models.credential import SECRETS
from mailboxes.pages.client import number
from mailboxes.rights import Deed, may

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
    """True where the person acts on it by a right as staff, and not as a member."""
    user = person(request)
    return user.is_staff and _role(user, workspace.pk) is None


def may_do(request: HttpRequest, workspace_id: int, deed: Deed) -> bool:
    """Return whether the person may do it to the workspace's objects."""
    return deed.name in allowed(request, workspace_id)


def allowed(request: HttpRequest, workspace_id: int) -> frozenset[str]:
    """Return the names of all that the person may do there; a page shows no button for anything else."""
    user = person(request)
    role = _role(user, workspace_id)
    return frozenset(deed.name for deed in Deed if may(deed, role=role, has_permission=partial(_as_staff, user)))


def _as_staff(user: User, permission: str) -> bool:
    return user.is_staff and user.has_perm(permission)


def require(request: HttpRequest, workspace_id: int, deed: Deed, *, seen_by: Deed) -> None:
    """Raise Http404 for whoever may not see the object, and PermissionDenied for whoever may see it alone."""
    if may_do(request, workspace_id, deed):
        return
    if may_do(request, workspace_id, seen_by):
        raise PermissionDenied
    raise Http404


def workspace_for(request: HttpRequest, pk: int, deed: Deed = Deed.CONNECT_MAILBOX) -> Workspace:
    """A workspace in which the person may do it. Raises Http404 for every other, whether it is there or not."""
    found = Workspace.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    require(request, found.pk, deed, seen_by=deed)
    return found


def mailbox_for(request: HttpRequest, pk: int, deed: Deed = Deed.RECONNECT_MAILBOX) -> Mailbox:
    """A mailbox that the person may do it to. Raises Http404 for one that they may not see, else PermissionDenied."""
    found = Mailbox.objects.present().select_related("workspace").filter(pk=pk).first()
    if found is None:
        raise Http404
    require(request, found.workspace_id, deed, seen_by=Deed.SEE_MAILBOX)
    return found


def trial_for(request: HttpRequest, pk: int) -> Trial:
    """A test of a mailbox that the person may connect, or reconnect. Raises Http404 for every other."""
    sealed = (f"candidate__{name}" for name in SECRETS)  # a page asks only whether there are any
    rows = Trial.objects.select_related("workspace", "mailbox", "candidate").defer(*sealed)
    found = rows.filter(pk=pk).first()
    if found is None:
        raise Http404
    deed = Deed.CONNECT_MAILBOX if found.mailbox_id is None else Deed.RECONNECT_MAILBOX
    require(request, found.workspace_id, deed, seen_by=deed)
    return found


def owner_only(request: HttpRequest, workspace: Workspace) -> None:
    """Raise Http404 unless the person owns the workspace."""
    require(request, workspace.pk, Deed.MANAGE_MEMBERS, seen_by=Deed.MANAGE_MEMBERS)


def _role(user: User, workspace_id: int) -> str | None:
    """The person's role in the workspace; None for whoever has no place there."""
    return Membership.objects.filter(user=user, workspace_id=workspace_id).values_list("role", flat=True).first()
