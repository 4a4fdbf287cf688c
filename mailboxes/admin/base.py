"""The theme's admin classes, with the types of Django's: the theme ships none. And what our own lists share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib.admin import ShowFacets
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import cached_property

from mailboxes.admin.audited import Audited
from mailboxes.admin.ids import RealIds

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as ThemedAdmin
    from django.contrib.admin import StackedInline, TabularInline
    from django.contrib.admin.views.main import ChangeList
else:
    from unfold.admin import ModelAdmin as ThemedAdmin
    from unfold.admin import StackedInline, TabularInline
    from unfold.views import ChangeList

__all__ = ["LongAdmin", "ModelAdmin", "ReadOnlyAdmin", "StackedInline", "TabularInline", "staff"]
MOST_COUNTED = 10_000
ModelT = TypeVar("ModelT", bound=Model)


class ModelAdmin(RealIds, Audited, ThemedAdmin[ModelT]):
    """In the theme's look; whatever is done on its pages is in the audit log, and odd values are no fault (SEC-21)."""


def staff(request: HttpRequest) -> AbstractBaseUser:
    """Who is signed in; the admin lets nobody else come this far."""
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


class ReadOnlyAdmin(ModelAdmin[Any]):
    """Nobody adds, edits or deletes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class BoundedPaginator(Paginator[Any]):
    """Counts up to a bound: nobody turns to page 200 of millions of rows, and counting them all takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())


class _DressedList(ChangeList):
    """The rows of a page, with what the admin counts for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        self.model_admin.dress(rows)  # type: ignore[attr-defined]  # a LongAdmin's
        self.result_list = rows


class LongAdmin(ModelAdmin[Any]):
    """A list of very many rows: counted up to a bound, without facets, its numbers fetched once for a page."""

    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    list_after_template = "admin/bounded.html"
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # counting each choice would scan the table

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return _DressedList

    def dress(self, rows: Sequence[Any]) -> None:
        """Put on the rows of one page what their columns need; a constant number of queries."""
