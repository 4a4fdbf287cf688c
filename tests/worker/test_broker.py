"""The queue runs our own functions alone, and its admin changes nothing (finding SEC-3)."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
from django_q.tasks import async_task

from mailboxes import tasks, worker
from mailboxes.broker import OWN_TASKS, OwnTasksBroker

pytestmark = pytest.mark.django_db


def taken() -> list[object]:
    """What a cluster would be handed."""
    broker = get_broker()
    assert isinstance(broker, OwnTasksBroker)
    return list(broker.dequeue() or [])


def test_sec3_our_own_tasks_are_handed_out() -> None:
    async_task(worker.BEAT)
    assert len(taken()) == 1


@pytest.mark.parametrize("func", ["builtins.exec", "os.system", "mailboxes.tasks.nothing", "mailboxes.worker.ring"])
def test_sec3_a_foreign_function_in_the_queue_is_dropped_and_told(func: str, caplog: pytest.LogCaptureFixture) -> None:
    async_task(func, "raise SystemExit")
    with caplog.at_level(logging.ERROR):
        assert taken() == []
    assert func in caplog.text
    assert not OrmQ.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_sec3_a_foreign_schedule_is_dropped_when_its_time_comes() -> None:
    Schedule.objects.create(func="builtins.exec", args="'1/0'", schedule_type=Schedule.ONCE, next_run=timezone.now())
    scheduler(broker=get_broker())
    assert OrmQ.objects.count() == 1
    assert taken() == []


@pytest.mark.parametrize("more", [{"hook": "builtins.print"}, {"argument": 1}, {"chain": ["builtins.exec"]}])
def test_sec3_our_own_function_with_a_hook_or_arguments_is_none_of_ours(more: dict[str, object]) -> None:
    async_task(worker.BEAT, **more)
    assert taken() == []


def test_sec3_no_scheduler_runs_what_somebody_wrote_into_its_table() -> None:
    """A schedule with `sync` would run inside the scheduler and never reach the broker."""
    assert settings.Q_CLUSTER["scheduler"] is False and Conf.SCHEDULER is False


def test_sec3_pruning_comes_by_the_supervisors_clock() -> None:
    cluster, now = worker.Cluster(["true"]), timezone.now()
    for after in (0, 30, 59, 61):
        worker._ring_for_pruning(cluster, now + timedelta(minutes=after))
    assert [task.func() for task in OrmQ.objects.all()] == [worker.PRUNE] * 2


def test_sec3_what_nobody_of_us_signed_is_dropped() -> None:
    OrmQ.objects.create(key=get_broker().list_key, payload="forged", lock=timezone.now() - timedelta(hours=1))
    assert taken() == []


def test_sec3_the_list_names_every_task_and_every_schedule() -> None:
    functions = {name for name in vars(tasks) if callable(getattr(tasks, name)) and not name.startswith("_")}
    own = {f"mailboxes.tasks.{name}" for name in functions if getattr(tasks, name).__module__ == tasks.__name__}
    assert own == OWN_TASKS
    assert worker.PRUNE in OWN_TASKS


@pytest.mark.parametrize("table", ["schedule", "ormq", "failure", "success"])
def test_sec3_the_queues_admin_is_read_only_for_superusers_too(support_client: Client, table: str) -> None:
    listed = reverse(f"admin:django_q_{table}_changelist")
    assert support_client.get(listed).status_code == 200
    assert 'name="action"' not in support_client.get(listed).content.decode()
    add = reverse(f"admin:django_q_{table}_add")
    for answer in (support_client.get(add), support_client.post(add, {"func": "builtins.exec"})):
        assert answer.status_code == 403
    assert not Schedule.objects.exists()
