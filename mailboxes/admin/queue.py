"""The queue's tables in the admin's own look; its payloads hold ids at most."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_q.admin import FailAdmin, QueueAdmin, ScheduleAdmin, TaskAdmin
from django_q.models import Failure, OrmQ, Schedule, Success

from mailboxes.admin.base import ReadOnlyAdmin

for _model in (Success, Failure, OrmQ, Schedule):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class _QueueAdmin(ReadOnlyAdmin):
    """Read-only for everybody: whoever writes a row of the queue decides what the worker runs (SEC-3)."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """No deleting, no sending again."""
        return {}


@admin.register(Success)
class DoneAdmin(_QueueAdmin, TaskAdmin):  # type: ignore[misc]  # django-q2 ships no types
    """Tasks that ended well."""


@admin.register(Failure)
class FailedAdmin(_QueueAdmin, FailAdmin):  # type: ignore[misc]  # django-q2 ships no types
    """Tasks that failed, with their tracebacks."""


@admin.register(Schedule)
class TimetableAdmin(_QueueAdmin, ScheduleAdmin):  # type: ignore[misc]  # django-q2 ships no types
    """Schedules: none of ours, and none is run (`Q_CLUSTER["scheduler"]`)."""


@admin.register(OrmQ)
class WaitingAdmin(_QueueAdmin, QueueAdmin):  # type: ignore[misc]  # django-q2 ships no types
    """What waits to run."""
