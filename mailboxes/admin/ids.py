"""References of the admin's pages are ids of rows, or are refused before a query is made of them (SEC-21)."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, FieldDoesNotExist, ValidationError
from django.db.models import Field, ForeignKey, ManyToManyField, Model
from django.http import HttpRequest, HttpResponse


class RealIds:
    """Mixed into every admin. What a browser sends from our pages always passes."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """None for what Django's own quoting ("_00") makes a NUL of."""
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)  # type: ignore[misc]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What a link fills in, without references to no row."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)  # type: ignore[misc]
        model: type[Model] = self.model  # type: ignore[attr-defined]
        return {name: value for name, value in given.items() if _refers(model, name, value)}

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Raises BadRequest, which is answered by 400."""
        inlines = [inline.model for inline in self.inlines]  # type: ignore[attr-defined]
        for name, values in request.POST.lists():
            tables = inlines if "-" in name else [self.model]  # type: ignore[attr-defined]
            if not all(_refers(table, name.rpartition("-")[2], values) for table in tables):
                raise BadRequest
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]
        return response

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Raises BadRequest, which is answered by 400."""
        pk = self.opts.pk  # type: ignore[attr-defined]
        if not all(_holds(pk, value) for value in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest
        response: HttpResponse = super().changelist_view(request, extra_context)  # type: ignore[misc]
        return response


def _refers(model: type[Model], name: str, value: str | list[str]) -> bool:
    """False for a reference that can be to no row; True for all that is no reference."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return True
    if not isinstance(field, ForeignKey | ManyToManyField):
        return True
    return all(_holds(field.target_field, one) for one in ([value] if isinstance(value, str) else value) if one)


def _holds(column: Field[Any, Any], text: str) -> bool:
    try:
        column.run_validators(column.to_python(text))
    except ValidationError:
        return False
    return True
