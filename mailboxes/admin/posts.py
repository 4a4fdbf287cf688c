"""A deed on one row: a POST with a permission, answered by a redirect to the row's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailboxes.admin.badges import page_url

RowT = TypeVar("RowT", bound=Model)


def posted(model: type[RowT], permission: str, deed: Callable[[HttpRequest, RowT], None]) -> Callable[..., Any]:
    """The deed as a view. Others' methods get 405, people without the permission 403, and nothing is done."""

    @require_POST
    def view(request: HttpRequest, pk: int, **_: Any) -> HttpResponse:
        if not request.user.has_perm(permission):
            raise PermissionDenied
        row = get_object_or_404(model, pk=pk)
        deed(request, row)
        return redirect(page_url(row))

    return view
