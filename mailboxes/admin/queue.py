"""The queue's tables in the admin's own look; its payloads hold ids at most."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django_q.admin import FailAdmin, QueueAdmin, ScheduleAdmin, TaskAdmin
from django_q.models import Failure, OrmQ, Schedule, Success

from mailboxes.admin.base import ModelAdmin

for _model in (Success, Failure, OrmQ, Schedule):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(Success)
class DoneAdmin(TaskAdmin, ModelAdmin[Any]):  # type: ignore[misc]  # django-q2 ships no types
    pass


@admin.register(Failure)
class FailedAdmin(FailAdmin, ModelAdmin[Any]):  # type: ignore[misc]  # django-q2 ships no types
    pass


@admin.register(Schedule)
class TimetableAdmin(ScheduleAdmin, ModelAdmin[Any]):  # type: ignore[misc]  # django-q2 ships no types
    pass


@admin.register(OrmQ)
class WaitingAdmin(QueueAdmin, ModelAdmin[Any]):  # type: ignore[misc]  # django-q2 ships no types
    pass
