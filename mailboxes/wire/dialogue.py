"""A dialogue says what to send and is handed each reply; this drives one over a channel.

Dialogues are generators without I/O: they yield actions and end by returning or by raising
WireFault. Parsers take bytes and give replies. So both can be tested by values alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mailboxes.wire.channel import Channel
from mailboxes.wire.connector import Connector, local_fault
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.values import Stage

ReplyT = TypeVar("ReplyT")
ParsedT = TypeVar("ParsedT", covariant=True)


@dataclass(frozen=True, slots=True)
class Send:
    """Send `data`, then wait for one reply."""

    stage: Stage
    data: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """Wait for one more reply."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Encrypt the connection now."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds; the leg's deadline still runs."""

    seconds: float


_TLS_AT_ONCE = "The port expects TLS at once, and STARTTLS was chosen: use SSL/TLS here, or the port for STARTTLS."
Action = Send | Read | Upgrade | Pause
Dialogue = Generator[Action, ReplyT, None]


class ProtocolFault(Exception):
    """The bytes are no reply of this protocol, or are too many. `code` names the fault."""

    def __init__(self, code: str, text: bytes | str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


class Parser(Protocol[ParsedT]):
    """Bytes in, replies out."""

    def feed(self, data: bytes) -> None:
        """Take more bytes. Raises ProtocolFault where they exceed a limit."""
        ...

    def next_reply(self) -> ParsedT | None:
        """The next whole reply, or None where more bytes are needed. Raises ProtocolFault."""
        ...

    @property
    def unread(self) -> bytes:
        """Bytes taken and not yet given out."""
        ...

    def early(self) -> bytes:
        """Return what came before the command that is about to go out, and can be no answer to it; b"" for nothing.

        What a server may say at any time stays for `next_reply`. Raises ProtocolFault.
        """
        ...


async def converse(
    dialogue: Dialogue[ReplyT],
    parser: Parser[ReplyT],
    *,
    channel: Channel,
    connector: Connector,
    host: str,
    recorder: Recorder,
) -> None:
    """Run the dialogue to its end. Raises WireFault where it fails."""
    action = next(dialogue, None)
    try:
        while action is not None:
            if isinstance(action, Send | Read):
                recorder.enter(action.stage)
                if isinstance(action, Send) and action.data:
                    await _refuse_early(parser, channel)
                    channel.write(action.data)
                action = dialogue.send(await _reply(parser, channel, connector.limits.command_s, recorder))
            elif isinstance(action, Upgrade):
                await _upgrade(parser, channel, connector, host, recorder)
                action = next(dialogue)
            else:
                await asyncio.sleep(action.seconds)
                action = next(dialogue)
    except StopIteration:
        return
    except ProtocolFault as fault:
        raise recorder.fault(fault.code, fault.text) from None
    except OSError as error:
        if isinstance(error, TimeoutError) and await connector.expects_tls(channel, host):
            raise recorder.fault("TLS_AT_ONCE", _TLS_AT_ONCE) from None
        raise recorder.fault(*local_fault(error, "the server's answer")) from None


async def _refuse_early(parser: Parser[ReplyT], channel: Channel) -> None:
    """An answer that stands there before its command answers nothing: it must not pass for a login (SRV-14)."""
    if channel.unread:
        parser.feed(await channel.read())
    if words := parser.early():
        raise ProtocolFault("EARLY_REPLY", b"the server answered before it was asked: " + words)


async def _upgrade(
    parser: Parser[ReplyT], channel: Channel, connector: Connector, host: str, recorder: Recorder
) -> None:
    if parser.unread:
        recorder.enter(Stage.TLS)
        raise recorder.fault("PLAINTEXT_BEFORE_TLS", b"bytes sent before TLS: " + parser.unread)
    await connector.upgrade(channel, host, recorder)


async def _reply(parser: Parser[ReplyT], channel: Channel, within_s: float, recorder: Recorder) -> ReplyT:
    if (ready := parser.next_reply()) is not None:
        return ready
    channel.allow(within_s)
    while (reply := parser.next_reply()) is None:
        data = await channel.read()
        if not data:
            words = parser.unread.strip() or b"the connection was closed by the server"
            raise recorder.fault("EOF", words)
        parser.feed(data)
    return reply
