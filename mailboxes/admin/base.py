"""The theme's admin classes, with the types of Django's: the theme ships none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
else:
    from unfold.admin import ModelAdmin, TabularInline

__all__ = ["ModelAdmin", "TabularInline", "staff"]


def staff(request: HttpRequest) -> AbstractBaseUser:
    """Who is signed in; the admin lets nobody else come this far."""
    assert isinstance(request.user, AbstractBaseUser)
    return request.user
