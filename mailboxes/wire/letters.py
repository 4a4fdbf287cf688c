"""Send one letter, and know what became of it (SPEC K4, FACTS E7)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from mailboxes.wire.clean import refuse_control, refuse_path
from mailboxes.wire.connector import Connector
from mailboxes.wire.conversation import attempt, conversation
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.smtp import SmtpParser, SmtpSession
from mailboxes.wire.values import Leg, LegTarget, Letter, Report

LOOK_S = 10.0
MayGo = Callable[[], Awaitable[bool]]


class Fate(StrEnum):
    """What became of a letter."""

    SENT = "sent"  # the server took it
    NOT_SENT = "not_sent"  # the server did not take it, for certain
    UNKNOWN = "unknown"  # the connection ended behind the message, before the server's word
    STOPPED = "stopped"  # it was not to go any more
    UNFIT = "unfit"  # the server said before that it takes no such message: nothing was tried


@dataclass(frozen=True, slots=True)
class Delivery:
    """A letter's fate, the leg's report, and why the server takes no such letter."""

    fate: Fate
    report: Report
    unfit: str = ""


async def send_letter(wanted: LegTarget, letter: Letter, connector: Connector, may_go: MayGo) -> Delivery:
    """Log in, ask `may_go` once more, and send the letter within the connector's limits. Never raises for the server's
    fault. RFC 5321 4.5.3.2 grants the server ten minutes after the final dot; who waits less calls it unknown.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    session = SmtpSession(wanted.endpoint.security, connector.ehlo_name)
    stopped, unfit = False, ""

    async def talk(recorder: Recorder) -> None:
        nonlocal stopped, unfit
        refuse_letter(letter)
        async with conversation(wanted, SmtpParser(connector.limits), connector, recorder) as say:
            await say(session.open())
            await say(session.authenticate(wanted.login))
            unfit = session.unfit(letter)
            stopped = not unfit and not await _asked(may_go)
            if not unfit and not stopped:
                await say(session.submit(letter))

    recorder = await attempt(Leg.SMTP, wanted, began + connector.limits.total_s, talk)
    report = recorder.report(round((loop.time() - began) * 1000))
    if unfit:
        return Delivery(Fate.UNFIT, report, unfit)
    return Delivery(Fate.STOPPED if stopped else fate_of(report, body_sent=session.body_sent), report)


async def _asked(may_go: MayGo) -> bool:
    """Its answer. One that does not come is our own slowness, and no fault of the mailbox: the letter waits."""
    try:
        async with asyncio.timeout(LOOK_S):
            return await may_go()
    except TimeoutError:
        return False


def fate_of(report: Report, *, body_sent: bool) -> Fate:
    """Return what became of a letter; `body_sent` where all of it had left for the server."""
    if report.ok:
        return Fate.SENT
    step = report.failed
    refused = step is not None and step.code[:1] in ("4", "5")  # nothing else is a refusal (RFC 5321 4.2.1)
    return Fate.UNKNOWN if body_sent and not refused else Fate.NOT_SENT


def refuse_letter(letter: Letter) -> None:
    """Raises BadText for an address or a Message-ID that must not stand on the wire."""
    refuse_path(letter.sender, "sender")
    refuse_path(letter.recipient, "recipient")
    refuse_control(letter.message_id, "Message-ID")
