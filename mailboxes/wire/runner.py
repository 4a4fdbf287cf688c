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
from typing import Any, Generic, TypeVar

from mailboxes.wire import imap, smtp
from mailboxes.wire.clean import BadText, refuse_control
from mailboxes.wire.connector import Connector, local_fault
from mailboxes.wire.dialogue import Dialogue, Parser, converse
from mailboxes.wire.imap_reply import ImapParser
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.sasl import plain, xoauth2
from mailboxes.wire.values import Leg, LegTarget, Report, SecretKind, Stage, Target, WireFault

try:
    import uvloop
except ImportError:  # not to be had on Windows
    uvloop = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)
KeyT = TypeVar("KeyT")
ReplyT = TypeVar("ReplyT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many mailboxes may be under way, in all and per mail host."""

    total: int = 250
    per_host: int = 20


async def check(target: Target, connector: Connector) -> tuple[Report, ...]:
    """Check the wanted legs of one mailbox within the connector's limits.

    A password goes to SMTP first, then once to IMAP (SPEC X3); access tokens go to both side by side.
    """
    deadline = asyncio.get_running_loop().time() + connector.limits.total_s
    legs = [(leg, wanted) for leg, wanted in ((Leg.SMTP, target.smtp), (Leg.IMAP, target.imap)) if wanted]
    by_token = all(wanted.login.kind is SecretKind.ACCESS_TOKEN for _leg, wanted in legs)
    if by_token and target.message is None:
        runs = [_check_leg(leg, wanted, target, connector, deadline) for leg, wanted in legs]
        return tuple(await asyncio.gather(*runs))
    reports: list[Report] = []
    for leg, wanted in legs:
        if not all(report.ok for report in reports):
            target = replace(target, message=None)  # what was not sent is not looked for
        reports.append(await _check_leg(leg, wanted, target, connector, deadline))
    return tuple(reports)


@dataclass(frozen=True, slots=True)
class Job(Generic[KeyT, ResultT]):
    """One piece of work: what it is about, which host it loads, and the coroutine that does it."""

    key: KeyT
    host: str
    work: Callable[[], Coroutine[Any, Any, ResultT]]


def stream(
    jobs: Sequence[Job[KeyT, ResultT]], bounds: Bounds, start_by: float = math.inf
) -> Iterator[tuple[KeyT, ResultT]]:
    """Run the jobs within bounds on one event loop in a thread of its own; yield each result as it comes.

    The caller's thread is free to write to a database meanwhile. A job that raises is our own fault:
    it is logged and left out, so that it spoils no other. One whose turn has not come at `start_by`
    (`time.monotonic()`, seconds) is left out too: behind a host that hangs, waves of jobs would outlast any deadline.
    """
    results: queue.SimpleQueue[tuple[KeyT, ResultT] | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            _new_loop(_run_all(jobs, bounds, start_by, results.put))
        finally:
            results.put(None)

    thread = threading.Thread(target=run, name="wire", daemon=True)
    thread.start()
    yield from iter(results.get, None)
    thread.join()


async def _run_all(
    jobs: Sequence[Job[KeyT, ResultT]], bounds: Bounds, start_by: float, put: Callable[[tuple[KeyT, ResultT]], None]
) -> None:
    in_all = asyncio.Semaphore(bounds.total)
    by_host: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bounds.per_host))

    async def bounded(job: Job[KeyT, ResultT]) -> None:
        async with by_host[job.host], in_all:
            if time.monotonic() >= start_by:
                return
            try:
                put((job.key, await job.work()))
            except Exception as error:  # the type alone is logged: the text may hold a secret
                logger.error("a check ended in our own fault: %s", type(error).__name__)

    await asyncio.gather(*(bounded(job) for job in jobs))


def _new_loop(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is to be had: a third of the memory for 500 checks under way (PITFALLS section 9)."""
    return uvloop.new_event_loop if uvloop is not None else None


async def _check_leg(leg: Leg, wanted: LegTarget, target: Target, connector: Connector, deadline: float) -> Report:
    recorder = Recorder(leg, secrets_of(wanted))
    try:
        _refuse_bad_text(wanted, target)
        async with asyncio.timeout_at(deadline):
            await _run_leg(leg, wanted, target, connector, recorder)
        recorder.passed()
    except WireFault as fault:
        recorder.failed(fault)
    except BadText as bad:
        recorder.failed(WireFault(Stage.DNS, "BAD_TEXT", str(bad)))
    except TimeoutError as error:
        recorder.failed(recorder.fault(*local_fault(error, "the check")))
    return recorder.report()


async def _run_leg(leg: Leg, wanted: LegTarget, target: Target, connector: Connector, recorder: Recorder) -> None:
    if leg is Leg.SMTP:
        security = wanted.endpoint.security
        talk = smtp.check(wanted.login, security, connector.ehlo_name, target.message)
        await _converse(talk, smtp.SmtpParser(connector.limits), wanted, connector, recorder)
    else:
        message_id = target.message.message_id if target.message else None
        read = imap.check(wanted.login, wanted.endpoint.security, target.folder, message_id)
        await _converse(read, ImapParser(connector.limits), wanted, connector, recorder)


async def _converse(
    talk: Dialogue[ReplyT], parser: Parser[ReplyT], wanted: LegTarget, connector: Connector, recorder: Recorder
) -> None:
    channel = await connector.open(wanted.endpoint, recorder)
    try:
        host = wanted.endpoint.host
        await converse(talk, parser, channel=channel, connector=connector, host=host, recorder=recorder)
        channel.write(b"QUIT\r\n" if recorder.leg is Leg.SMTP else b"Z LOGOUT\r\n")
        await asyncio.sleep(0)  # lets the loop flush the farewell; its answer is not waited for
    finally:
        channel.close()


def secrets_of(wanted: LegTarget) -> tuple[str, ...]:
    """The secret and its forms on the wire, for redaction."""
    return wanted.login.secret, plain(wanted.login).decode(), xoauth2(wanted.login).decode()


def _refuse_bad_text(wanted: LegTarget, target: Target) -> None:
    refuse_control(wanted.login.username, "user name")
    refuse_control(wanted.login.secret, "password")
    refuse_control(wanted.endpoint.host, "host")
    refuse_control(target.folder, "folder")
