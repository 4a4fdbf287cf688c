"""One worker machine: a queue cluster in a process group of its own, rung every 5 s and restarted when it freezes.

django-q2 stops for good when an idle worker of it is killed, and leaves orphans when its main process is
(PITFALLS section 3). So the group is killed whole, and a sign of life from inside it is what counts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ
from django_q.tasks import async_task

from mailboxes import account_mail
from mailboxes.health import asked
from mailboxes.inbox import due as inbox_due
from mailboxes.inbox import rounds
from mailboxes.models import CheckState, Heartbeat
from mailboxes.ownership import sending as ownership_sending
from mailboxes.reconnect import removal, trials
from mailboxes.wire.faults import log_fault

logger = logging.getLogger(__name__)

TICK_S = 5.0
SILENT_FOR = timedelta(seconds=45)
GRACE_S = 10.0
RECORD_SIZE = 20  # characters
PRUNE = "mailboxes.tasks.prune"
PRUNE_EVERY = timedelta(hours=1)
# Long checks must keep neither the sign of life waiting, nor mail, nor a check or a test that a person asked for.
KEPT_FREE = 5
BEAT, CHECK_ASKED, CHECK_DUE, TRY_CREDENTIALS, SEND_MAIL, READ_INBOXES, SEND_ACCOUNT_MAIL, SEND_CODES = (
    f"mailboxes.tasks.{name}"
    for name in (
        "beat",
        "check_asked",
        "check_due",
        "try_credentials",
        "send_mail",
        "read_inboxes",
        "send_account_mail",
        "send_codes",
    )
)


class Cluster:
    """The queue's processes, as one group. `command` starts them; tests pass their own.

    `record` is a file that keeps the group's id: a supervisor that was killed left its cluster behind, and the next
    one ends it before it starts its own. `database_back_at` is when the database answered again after an outage: a
    cluster could give no sign of life before.
    """

    def __init__(self, command: list[str] | None = None, record: Path | None = None) -> None:
        self._command = command or [sys.executable, "manage.py", "qcluster"]
        self._record = record
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at: datetime | None = None
        self.database_back_at: datetime | None = None
        self.pruned_at: datetime | None = None

    def start(self) -> None:
        """Start the group, after ending one that an earlier supervisor left behind. Raises OSError, with nothing
        started, where its id could not be kept: a cluster that nobody can find again must not begin."""
        self._end_orphans()
        self._reserve()
        # In a session of its own, so that the group can be killed without us.
        self._process = subprocess.Popen(self._command, cwd=settings.BASE_DIR, start_new_session=True)
        self.started_at = timezone.now()
        self._remember()

    def _reserve(self) -> None:
        """Take the room for the group's id before there is one: the disk may be full afterwards."""
        if self._record is not None:
            self._record.parent.mkdir(parents=True, exist_ok=True)
            self._record.write_text(" " * RECORD_SIZE)

    def _remember(self) -> None:
        if self._record is not None:
            with self._record.open("r+") as file:  # in place: needs no more room
                file.write(str(self.pid).ljust(RECORD_SIZE))

    def _end_orphans(self) -> None:
        if self._record is None or not self._record.exists():
            return
        left = self._record.read_text().strip()
        # The number may be another program's by now: only a group that runs this command is ours.
        if left.isdigit() and int(left) != self.pid and _runs(int(left), self._command[-1]):
            logger.warning("a cluster without a supervisor was left behind: killed")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(left), signal.SIGKILL)

    @property
    def is_running(self) -> bool:
        """True while the group's leader lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The group's id; 0 before the start."""
        return self._process.pid if self._process else 0

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Ask the group to end, then end it. Work cut off comes back by its lease."""
        if self._process is None:
            return
        self._process.terminate()  # the leader alone: it ends its workers; they must not die under it
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            logger.warning("the cluster does not stop by itself: killed")
        with contextlib.suppress(ProcessLookupError):  # all of it may have ended
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def _runs(group: int, command: str) -> bool:
    """True where a process of this group was started with this argument (Linux; elsewhere nothing is known)."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and command.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                return True
    return False


def run(cluster: Cluster, *, stopping: Callable[[], bool], wait: Callable[[float], object] = time.sleep) -> None:
    """Keep the cluster alive and ring it until `stopping()`. The first tick starts it: what keeps it from starting, a
    database that is down or a full disk, is waited out like any other trouble."""
    try:
        while not stopping():
            _tick_safely(cluster)
            wait(TICK_S)
    finally:
        cluster.stop()
        _retire()


def _retire() -> None:
    """A worker that was stopped is not missed: `doctor` looks at the living."""
    with contextlib.suppress(DatabaseError):
        Heartbeat.objects.filter(name=settings.Q_CLUSTER["name"]).delete()


def _tick_safely(cluster: Cluster) -> None:
    try:
        close_old_connections()
        tick(cluster, timezone.now())
    except DatabaseError as error:
        cluster.database_back_at = timezone.now()  # moved on until the database answers
        log_fault(logger, error, "the tick found no database; it is tried again in %s s", TICK_S)
    except OSError as error:
        log_fault(logger, error, "the cluster could not be started; it is tried again in %s s", TICK_S)


def tick(cluster: Cluster, now: datetime) -> None:
    """Start a cluster that is not there or gives no sign of life, then ring for what is to be done."""
    if not cluster.is_running or is_silent(cluster, now):
        if cluster.started_at is not None:
            logger.error("the cluster is %s: restarted", "silent" if cluster.is_running else "gone")
        cluster.stop(grace_s=0)
        # Bells of an earlier run; the work itself is in our tables.
        OrmQ.objects.filter(key=settings.Q_CLUSTER["name"]).delete()
        cluster.start()
    ring(now)
    _ring_for_pruning(cluster, now)


def _ring_for_pruning(cluster: Cluster, now: datetime) -> None:
    """Once an hour on each machine: it is safe to do twice."""
    if cluster.pruned_at is None or now - cluster.pruned_at >= PRUNE_EVERY:
        cluster.pruned_at = now
        async_task(PRUNE, ack_failure=True, broker=get_broker())


def is_silent(cluster: Cluster, now: datetime) -> bool:
    """True where neither start nor sign of life is recent, although the database could have taken one."""
    beat = Heartbeat.objects.filter(name=settings.Q_CLUSTER["name"]).values_list("at", flat=True).first()
    latest = max(filter(None, (cluster.started_at, cluster.database_back_at, beat)), default=now)
    return now - latest > SILENT_FOR


def ring(now: datetime) -> list[str]:
    """Queue a bell for each kind of work that waits."""
    tasks = [task for task in OrmQ.objects.filter(key=settings.Q_CLUSTER["name"]) if not _was_killed(task, now)]
    queued = [task.func() for task in tasks]
    bells = [] if BEAT in queued else [BEAT]
    waits: dict[str, Callable[[], bool]] = {
        CHECK_ASKED: asked.waiting(now).exists,
        TRY_CREDENTIALS: lambda: (
            trials.waiting(now).exists() or trials.expired(now).exists() or removal.waiting(now).exists()
        ),
        SEND_MAIL: lambda: rounds.has_mail_to_send(now),
        READ_INBOXES: lambda: inbox_due.is_due(now),
        SEND_ACCOUNT_MAIL: account_mail.waiting(now).exists,
        SEND_CODES: ownership_sending.waiting(now).exists,
    }
    bells += [bell for bell, is_waiting in waits.items() if bell not in queued and is_waiting()]
    if _wants_due([task for task in tasks if task.func() == CHECK_DUE], now) and _is_due(now):
        bells.append(CHECK_DUE)
    broker = get_broker()
    for bell in bells:
        async_task(bell, ack_failure=True, broker=broker)
    return bells


def _wants_due(due: Sequence[OrmQ], now: datetime) -> bool:
    """True where another worker may take due checks: half of those that may, since the other half only waits for the
    last of theirs. A host that hangs keeps a worker until its deadline, and must not keep the work."""
    places = settings.Q_CLUSTER["workers"] - KEPT_FREE
    taking = [task for task in due if (_taken_for(task, now) or timedelta(0)) < timedelta(seconds=settings.TAKE_FOR_S)]
    return bool(len(due) < places and len(taking) < (places + 1) // 2)


def _taken_for(task: OrmQ, now: datetime) -> timedelta | None:
    """How long ago a worker took the bell; None where none has."""
    if task.lock is None or task.lock <= now:
        return None
    taken_at: datetime = task.lock - timedelta(seconds=settings.Q_CLUSTER["retry"])
    return now - taken_at


def _was_killed(task: OrmQ, now: datetime) -> bool:
    """True for a bell whose worker must have ended by now: it comes back later, and must not keep us from ringing."""
    taken_for = _taken_for(task, now)
    return taken_for is not None and taken_for > timedelta(seconds=settings.Q_CLUSTER["timeout"] + GRACE_S)


def _is_due(now: datetime) -> bool:
    return CheckState.objects.filter(next_check_at__lte=now).exists()
