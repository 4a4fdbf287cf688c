"""One leg from its connection to its farewell, whatever is said in between. A server's fault is a failed step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from mailboxes.wire.clean import BadText, refuse_control
from mailboxes.wire.connector import Connector, local_fault
from mailboxes.wire.dialogue import Dialogue, Parser, converse
from mailboxes.wire.faults import log_fault
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.sasl import plain, xoauth2
from mailboxes.wire.values import Leg, LegTarget, Stage, WireFault

logger = logging.getLogger(__name__)
ReplyT = TypeVar("ReplyT")
Say = Callable[[Dialogue[ReplyT]], Awaitable[None]]
_FAREWELLS = {Leg.SMTP: b"QUIT\r\n", Leg.IMAP: b"Z LOGOUT\r\n"}


async def attempt(
    leg: Leg, wanted: LegTarget, deadline: float, talk: Callable[[Recorder], Awaitable[None]]
) -> Recorder:
    """Run `talk` until `deadline` (the loop's time, seconds); its recorder holds the steps, the last one failed or not.

    Nothing is raised: what is our own fault is a failed step as well, and its trace is logged.
    """
    recorder = Recorder(leg, lambda: secrets_of(wanted))
    try:
        _refuse_bad_text(wanted)
        async with asyncio.timeout_at(deadline):
            await talk(recorder)
        recorder.passed()
    except WireFault as fault:
        recorder.failed(fault)
    except BadText as bad:
        recorder.failed(WireFault(Stage.DNS, "BAD_TEXT", str(bad)))
    except TimeoutError as error:
        recorder.failed(recorder.fault(*local_fault(error, "the check")))
    except Exception as error:
        log_fault(logger, error, "an attempt ended in our own fault (%s, %s)", leg.value, recorder.stage)
        recorder.failed_by_us(error)
    return recorder


@asynccontextmanager
async def conversation(
    wanted: LegTarget, parser: Parser[ReplyT], connector: Connector, recorder: Recorder
) -> AsyncIterator[Say[ReplyT]]:
    """A connection on which dialogues are run one after the other. It is closed at the end; raises WireFault."""
    channel = await connector.open(wanted.endpoint, recorder)

    async def say(dialogue: Dialogue[ReplyT]) -> None:
        host = wanted.endpoint.host
        await converse(dialogue, parser, channel=channel, connector=connector, host=host, recorder=recorder)

    try:
        yield say
        channel.write(_FAREWELLS[recorder.leg])
        await asyncio.sleep(0)  # lets the loop flush the farewell; its answer is not waited for
    finally:
        channel.close()


def secrets_of(wanted: LegTarget) -> tuple[str, ...]:
    """The secret and its forms on the wire, for redaction."""
    return wanted.login.secret, plain(wanted.login).decode(), xoauth2(wanted.login).decode()


def _refuse_bad_text(wanted: LegTarget) -> None:
    if not wanted.login.may_go_to(wanted.endpoint.host):
        words = f"{wanted.endpoint.host} is no server of the provider that gave the access: it is not told it"
        raise WireFault(Stage.DNS, "REFUSED_BY_POLICY", words)
    refuse_control(wanted.login.username, "user name")
    refuse_control(wanted.login.secret, "password")
    refuse_control(wanted.endpoint.host, "host")
