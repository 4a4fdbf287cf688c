"""Check one mailbox, or many within bounds. A mailbox's fault is a failed step, never an exception."""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from mailboxes.wire import imap, smtp
from mailboxes.wire.clean import clean, refuse_control
from mailboxes.wire.connector import Connector
from mailboxes.wire.conversation import attempt, conversation, secrets_of
from mailboxes.wire.faults import log_fault
from mailboxes.wire.imap_reply import ImapParser
from mailboxes.wire.letters import refuse_letter
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.values import Leg, LegTarget, Report, SecretKind, Stage, Target

try:
    import uvloop
except ImportError:  # not to be had on Windows
    uvloop = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)
KeyT = TypeVar("KeyT")
ResultT = TypeVar("ResultT")
FIRST_LEG_SHARE = 0.6
HEAD_START_S = 3.0
MOST_WAITING = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many mailboxes may be under way, in all and per mail host."""

    total: int = 250
    per_host: int = 20


async def check(target: Target, connector: Connector) -> tuple[Report, ...]:
    """Check the wanted legs of one mailbox within the connector's limits.

    A password goes to SMTP first, then once to IMAP (SPEC X3), which does not wait for a server that hangs; access
    tokens go to both side by side.
    """
    began = asyncio.get_running_loop().time()
    deadline = began + connector.limits.total_s
    legs = [(leg, wanted) for leg, wanted in ((Leg.SMTP, target.smtp), (Leg.IMAP, target.imap)) if wanted]
    if target.message is None:
        by_token = all(wanted.login.kind is SecretKind.ACCESS_TOKEN for _leg, wanted in legs)
        runs = [partial(_check_leg, leg, wanted, target, connector, began, deadline) for leg, wanted in legs]
        if target.one_refusal_is_enough and len(runs) > 1:
            return await _until_refused(runs)
        return await _one_after_the_other(runs, head_start_s=0 if by_token else HEAD_START_S)
    reports: list[Report] = []
    for leg, wanted in legs:
        if not all(report.ok for report in reports):
            target = replace(target, message=None)  # what was not sent is not looked for
        # A first leg that hangs leaves the second a time of its own.
        until = deadline if leg is legs[-1][0] else began + connector.limits.total_s * FIRST_LEG_SHARE
        reports.append(await _check_leg(leg, wanted, target, connector, began, until))
    return tuple(reports)


async def _until_refused(runs: Sequence[Callable[[], Coroutine[Any, Any, Report]]]) -> tuple[Report, ...]:
    """Their reports, up to the first login that is refused."""
    reports: list[Report] = []
    for run in runs:
        reports.append(await run())
        failed = reports[-1].failed
        if failed is not None and failed.stage is Stage.AUTH:
            break
    return tuple(reports)


async def _one_after_the_other(
    runs: Sequence[Callable[[], Coroutine[Any, Any, Report]]], head_start_s: float
) -> tuple[Report, ...]:
    """All their reports. The second begins when the first has ended, or has had its head start."""
    if len(runs) < 2:
        return tuple([await run() for run in runs])
    first, second = runs
    beside: list[asyncio.Task[Report]] = []
    loop = asyncio.get_running_loop()
    timer = loop.call_later(head_start_s, lambda: beside.append(loop.create_task(second())))
    try:
        report = await first()
        timer.cancel()
        return report, (await beside[0] if beside else await second())
    finally:
        timer.cancel()
        for task in beside:
            task.cancel()


@dataclass(frozen=True, slots=True)
class Job(Generic[KeyT, ResultT]):
    """One piece of work: what it is about, which host it loads, and the coroutine that does it."""

    key: KeyT
    host: str
    work: Callable[[], Coroutine[Any, Any, ResultT]]


class _Woken:
    """No result: somebody wants the caller's attention."""


class Pool(Generic[KeyT, ResultT]):
    """Jobs on one event loop in a thread of its own, within bounds; more may be added while it runs.

    The caller's thread is free to write to a database meanwhile. A job that raises is our own fault: it is logged
    and left out, so that it spoils no other. One whose turn has not come at `start_by` (`time.monotonic()`, seconds)
    is left out too: behind a host that hangs, waves of jobs would outlast any deadline.
    """

    def __init__(self, bounds: Bounds, start_by: float = math.inf) -> None:
        self._bounds = bounds
        self._start_by = start_by
        self._in_all = asyncio.Semaphore(bounds.total)
        self._by_host: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bounds.per_host))
        self._results: queue.SimpleQueue[tuple[KeyT, ResultT] | _Woken | None] = queue.SimpleQueue()
        self._under_way = 0
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = (_loop_factory() or asyncio.new_event_loop)()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends what is still under way, so that nobody goes on logging in for a caller that is gone."""
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self, job: Job[KeyT, ResultT]) -> None:
        """Take one more job; from the caller's thread."""
        self._under_way += 1
        self._loop.call_soon_threadsafe(self._start, job)

    @property
    def has_room(self) -> bool:
        """True while more could run than does, and not many wait for a host that is at its bound."""
        return self._running < self._bounds.total and self._under_way < MOST_WAITING * self._bounds.total

    def results(self, every_s: float | None = None) -> Iterator[tuple[KeyT, ResultT] | None]:
        """Each result as it comes, until no job is left; with `every_s`, None where none came for so long, or where
        the pool was woken."""
        while self._under_way:
            try:
                found = self._results.get(timeout=every_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(found, _Woken):
                yield None
                continue
            self._under_way -= 1
            if found is not None:
                yield found

    def wake(self) -> None:
        """Have `results` give None now; from any thread."""
        self._results.put(_Woken())

    def _start(self, job: Job[KeyT, ResultT]) -> None:
        task = self._loop.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job[KeyT, ResultT]) -> None:
        found = None
        try:
            async with self._by_host[job.host], self._in_all:
                if time.monotonic() < self._start_by:
                    found = (job.key, await self._counted(job.work()))
        except Exception as error:
            log_fault(logger, error, "a job ended in our own fault")
        finally:
            self._results.put(found)

    async def _counted(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        self._running += 1
        try:
            return await work
        finally:
            self._running -= 1

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is to be had: a third of the memory for 500 checks under way (PITFALLS section 9)."""
    return uvloop.new_event_loop if uvloop is not None else None


async def _check_leg(
    leg: Leg, wanted: LegTarget, target: Target, connector: Connector, began: float, deadline: float
) -> Report:
    folders: list[str] = []

    async def talk(recorder: Recorder) -> None:
        _refuse_bad_text(target)
        await _run_leg(leg, wanted, target, connector, recorder, folders)

    recorder = await attempt(leg, wanted, deadline, talk)
    ended_ms = round((asyncio.get_running_loop().time() - began) * 1000)
    return recorder.report(ended_ms, tuple(clean(name, secrets_of(wanted)) for name in folders))


async def _run_leg(
    leg: Leg, wanted: LegTarget, target: Target, connector: Connector, recorder: Recorder, folders: list[str]
) -> None:
    security, limits = wanted.endpoint.security, connector.limits
    if leg is Leg.SMTP:
        async with conversation(wanted, smtp.SmtpParser(limits), connector, recorder) as say:
            await say(smtp.check(wanted.login, security, connector.ehlo_name, target.message))
    else:
        message_id = target.message.message_id if target.message else None
        offer = folders if target.list_folders else None
        async with conversation(wanted, ImapParser(limits), connector, recorder) as ask:
            await ask(imap.check(wanted.login, security, target.folder, message_id, offer))


def _refuse_bad_text(target: Target) -> None:
    refuse_control(target.folder, "folder")
    if target.message is not None:
        refuse_letter(target.message)
