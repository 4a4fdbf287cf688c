"""Create or correct the queue's schedules. Safe to run at any time, on any number of machines."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django_q.models import Schedule

SCHEDULES = {"prune": ("mailboxes.tasks.prune", 60)}


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        for name, (func, minutes) in SCHEDULES.items():
            wanted = {"func": func, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1}
            Schedule.objects.update_or_create(name=name, defaults=wanted)
        Schedule.objects.exclude(name__in=SCHEDULES).filter(func__startswith="mailboxes.").delete()
