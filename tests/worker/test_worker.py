"""The supervisor: bells, signs of life, restarts (SPEC O2)."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, OperationalError
from django.utils import timezone
from django_q.models import OrmQ

from mailboxes import tasks, worker
from mailboxes.health import asked
from mailboxes.models import CheckState, Heartbeat, Trial
from mailboxes.reconnect.credentials import Password
from mailboxes.reconnect.trials import Wish, begin
from tests.make import make_mailbox, make_member, secret

pytestmark = pytest.mark.django_db
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def bells() -> list[str]:
    return sorted(task.func().rpartition(".")[2] for task in OrmQ.objects.all())


@pytest.fixture
def cluster() -> object:
    made = worker.Cluster(SLEEPER)
    made.start()
    yield made
    made.stop(grace_s=5)


def test_a_tick_rings_for_a_sign_of_life_and_for_what_waits() -> None:
    worker.ring(timezone.now())
    assert bells() == ["beat"]
    mailbox = make_mailbox()
    asked.ask([mailbox.pk], acting_user=None, now=timezone.now())
    worker.ring(timezone.now())
    assert bells() == ["beat", "check_asked", "check_due"]


def test_a_tick_rings_for_a_test_for_secrets_past_their_time_and_for_grants_to_give_back() -> None:
    mailbox, now = make_mailbox(), timezone.now()
    CheckState.objects.update(next_check_at=None)
    wish = Wish(mailbox.workspace, mailbox.address, {"smtp_host": "a.test"}, Password(secret()), mailbox)
    trial = begin(wish, acting_user=make_member(mailbox.workspace), now=now)
    worker.ring(now)
    assert bells() == ["beat", "try_credentials"]
    OrmQ.objects.all().delete()
    Trial.objects.filter(pk=trial.pk).update(done_at=now)
    worker.ring(now)
    assert bells() == ["beat"]
    OrmQ.objects.all().delete()
    worker.ring(now + timedelta(minutes=10))
    assert "try_credentials" in bells()


def test_a_bell_that_is_not_answered_is_not_rung_twice() -> None:
    make_mailbox()
    for _tick in range(5):
        worker.ring(timezone.now())
    assert bells().count("beat") == 1


def test_long_checks_leave_a_worker_for_the_sign_of_life_and_one_for_people() -> None:
    asked.ask([make_mailbox().pk], acting_user=None, now=timezone.now())
    for _tick in range(10):
        worker.ring(timezone.now())
    assert bells() == ["beat", "check_asked", "check_due", "check_due"]  # of seven workers, two of which take


def test_while_some_wait_for_a_host_that_hangs_others_take_and_two_stay_free() -> None:
    make_mailbox()
    now = timezone.now()
    for _round in range(4):
        worker.ring(now)
        worker.ring(now)
        OrmQ.objects.filter(lock__lte=now).update(lock=now + timedelta(seconds=300))  # taken now
        now += timedelta(seconds=21)
    assert bells().count("check_due") == 4


def test_nothing_due_rings_for_nothing() -> None:
    make_mailbox()
    CheckState.objects.update(next_check_at=timezone.now() + timedelta(hours=1))
    worker.ring(timezone.now())
    assert bells() == ["beat"]


def test_a_cluster_whose_sign_of_life_stopped_is_restarted_within_a_minute(cluster: worker.Cluster) -> None:
    first, now = cluster.pid, timezone.now()
    tasks.beat()
    worker.tick(cluster, now + timedelta(seconds=40))
    assert cluster.pid == first
    worker.tick(cluster, now + timedelta(seconds=55))
    assert cluster.pid != first
    with pytest.raises(ProcessLookupError):
        os.killpg(first, 0)


def test_a_cluster_that_died_is_restarted_at_the_next_tick(cluster: worker.Cluster) -> None:
    first = cluster.pid
    os.killpg(first, signal.SIGKILL)
    assert cluster._process is not None
    cluster._process.wait(5)
    worker.tick(cluster, timezone.now())
    assert cluster.pid != first and cluster.is_running


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="the members of a group are read from /proc, which is Linux's")
def test_stopping_ends_the_whole_group(cluster: worker.Cluster) -> None:
    parent = [sys.executable, "-c", f"import subprocess, time; subprocess.Popen({SLEEPER!r}); time.sleep(600)"]
    family = worker.Cluster(parent)
    family.start()
    group = family.pid
    assert _within_10_s(lambda: len(_members(group)) == 2)
    family.stop(grace_s=5)
    assert _within_10_s(lambda: _members(group) == [])  # the kernel takes a killed process away in its own time


def _within_10_s(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if holds():
            return True
    return False


def _members(group: int) -> list[int]:
    """Living processes of a group, from /proc."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry))
    return found


def test_run_starts_ticks_and_stops() -> None:
    made, ticks = worker.Cluster(SLEEPER), []

    def wait(seconds: float) -> None:
        ticks.append(seconds)

    worker.run(made, stopping=lambda: len(ticks) >= 2, wait=wait)
    assert (ticks, made.is_running) == ([worker.TICK_S] * 2, False)


def test_a_beat_is_written_under_the_clusters_name() -> None:
    tasks.beat()
    assert Heartbeat.objects.get().name == settings.Q_CLUSTER["name"] == platform.node()


def test_old_asked_checks_are_pruned() -> None:
    mailbox = make_mailbox()
    asked.ask([mailbox.pk], acting_user=None, now=timezone.now())
    mailbox.asked_checks.update(done_at=timezone.now() - timedelta(days=31))
    tasks.prune()
    assert not mailbox.asked_checks.exists()


def test_a_bell_whose_worker_was_killed_does_not_silence_the_next() -> None:
    asked.ask([make_mailbox().pk], acting_user=None, now=timezone.now())
    for _tick in range(2):
        worker.ring(timezone.now())
    OrmQ.objects.update(lock=timezone.now() + timedelta(seconds=300))  # all taken now, by workers that then die
    assert worker.ring(timezone.now() + timedelta(seconds=60)) == [worker.CHECK_DUE]  # these only wait by then
    rung = worker.ring(timezone.now() + timedelta(seconds=140))
    assert worker.CHECK_ASKED in rung and worker.BEAT in rung


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="whose group it is is read from /proc, which is Linux's")
def test_a_cluster_left_behind_by_a_killed_supervisor_is_ended(tmp_path: Path) -> None:
    record = tmp_path / "worker.pid"
    orphan, heir = worker.Cluster(SLEEPER, record), worker.Cluster(SLEEPER, record)
    orphan.start()
    heir.start()
    assert orphan._process is not None and orphan._process.wait(5) == -signal.SIGKILL
    assert heir.is_running and record.read_text().strip() == str(heir.pid)
    heir.stop(grace_s=5)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="whose group it is is read from /proc, which is Linux's")
def test_a_number_that_is_another_programs_by_now_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "worker.pid"
    other = worker.Cluster([sys.executable, "-c", "import time; time.sleep(601)"])
    other.start()
    record.write_text(str(other.pid))
    mine = worker.Cluster(SLEEPER, record)
    mine.start()
    assert other.is_running
    mine.stop(grace_s=5)
    other.stop(grace_s=5)


@pytest.mark.django_db(transaction=True)
def test_hlt8_a_folder_that_takes_no_file_starts_no_cluster_and_ends_no_supervisor(tmp_path: Path) -> None:
    """Nothing is begun that could not be found again; as soon as there is room, it begins."""
    folder = tmp_path / "full"
    folder.write_text("a file stands where the folder should be")
    made = worker.Cluster(SLEEPER, folder / "worker.pid")
    ticks: list[bool] = []

    def wait(seconds: float) -> None:
        ticks.append(made.is_running)
        if len(ticks) == 2:
            folder.unlink()

    worker.run(made, stopping=lambda: len(ticks) >= 3, wait=wait)
    assert ticks == [False, False, True]


def test_hlt8_the_groups_id_is_kept_without_more_room(tmp_path: Path) -> None:
    record = tmp_path / "worker.pid"
    made = worker.Cluster(SLEEPER, record)
    made.start()
    size = record.stat().st_size
    made.stop(grace_s=5)
    made.start()
    assert (record.stat().st_size, record.read_text().strip()) == (size, str(made.pid))
    made.stop(grace_s=5)


@pytest.mark.django_db(transaction=True)
def test_hlt13_a_database_that_is_down_at_the_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = worker.Cluster(SLEEPER), worker.tick
    ticks: list[bool] = []

    def tick(cluster: worker.Cluster, now: datetime) -> None:
        if len(ticks) < 2:
            raise OperationalError("connection refused")
        real(cluster, now)

    monkeypatch.setattr(worker, "tick", tick)
    worker.run(made, stopping=lambda: len(ticks) >= 3, wait=lambda _seconds: ticks.append(made.is_running))
    assert ticks == [False, False, True]


@pytest.mark.django_db(transaction=True)
def test_hlt13_an_outage_of_the_database_is_no_silence_of_the_cluster(
    cluster: worker.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    cluster.started_at = now - timedelta(hours=1)
    Heartbeat.objects.create(name=settings.Q_CLUSTER["name"], at=now - timedelta(minutes=10))
    assert worker.is_silent(cluster, now)
    real = worker.tick

    def away(_cluster: worker.Cluster, _now: datetime) -> None:
        raise DatabaseError("the server is down")

    monkeypatch.setattr(worker, "tick", away)
    worker._tick_safely(cluster)
    monkeypatch.setattr(worker, "tick", real)
    assert not worker.is_silent(cluster, timezone.now() + timedelta(seconds=30))
    assert worker.is_silent(cluster, timezone.now() + timedelta(seconds=60))


@pytest.mark.django_db(transaction=True)
def test_hlt12_a_worker_that_was_stopped_is_missed_by_nobody() -> None:
    ticks: list[float] = []
    tasks.beat()
    worker.run(worker.Cluster(SLEEPER), stopping=lambda: len(ticks) >= 1, wait=ticks.append)
    assert not Heartbeat.objects.exists()


def test_hlt12_the_sign_of_life_of_a_machine_that_is_gone_for_a_day_is_dropped() -> None:
    now = timezone.now()
    Heartbeat.objects.create(name="gone", at=now - timedelta(hours=25))
    Heartbeat.objects.create(name="here", at=now)
    tasks.prune()
    assert list(Heartbeat.objects.values_list("name", flat=True)) == ["here"]
