"""Bring a message to the exchangers of its recipient's domain, as a mail server does (RFC 5321 5.1, 7505)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailboxes.wire.clean import clean
from mailboxes.wire.connector import Connector
from mailboxes.wire.conversation import attempt, conversation
from mailboxes.wire.dialogue import Dialogue
from mailboxes.wire.letters import Delivery, Fate, fate_of, refuse_letter
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.resolver import NameFault
from mailboxes.wire.smtp import SmtpParser, SmtpReply, SmtpSession
from mailboxes.wire.values import Endpoint, Leg, LegTarget, Letter, Login, Report, Security, Stage, Step

SMTP_PORT = 25
MOST_HOSTS = 3


class ExchangerSession(SmtpSession):
    """A session with a mail exchanger: encrypted where it offers that, and without a login."""

    def open(self) -> Dialogue[SmtpReply]:
        """Greeting and EHLO; STARTTLS where it is offered."""
        yield from self.greet()
        if "STARTTLS" in self.extensions:
            yield from self.start_tls()


async def deliver(letter: Letter, secret: str, connector: Connector, port: int = SMTP_PORT) -> Delivery:
    """Try the exchangers in their order, until one takes the letter or refuses it for good; `secret` is masked in what
    they say. All of it ends within the connector's limit for one attempt. Never raises for a server's fault."""
    deadline = asyncio.get_running_loop().time() + connector.limits.total_s
    try:
        async with asyncio.timeout_at(deadline):
            hosts = await _hosts(letter.recipient.rpartition("@")[2], connector)
    except NameFault as fault:
        return _failed(fault.code, fault.text, secret)
    except TimeoutError:
        return _failed("EAI_AGAIN", "the name server did not answer in time", secret)
    found = _failed("556 5.1.10", "the domain takes no mail (it has a null MX record)", secret)
    for host in hosts[:MOST_HOSTS]:
        found = await _one(host, letter, secret, connector, port, deadline)
        if found.fate is not Fate.NOT_SENT or is_final(found):
            break
    return found


def is_final(delivery: Delivery) -> bool:
    """Return whether the message was refused for good: trying again would bring the same."""
    step = delivery.report.failed
    return delivery.fate is Fate.UNFIT or (step is not None and step.code.startswith("5"))


async def _hosts(domain: str, connector: Connector) -> Sequence[str]:
    """The exchangers; a domain without any is its own (RFC 5321 5.1), and a null MX is none (RFC 7505)."""
    return [host for host in (await connector.resolver.exchangers(domain)) or [domain] if host]


async def _one(host: str, letter: Letter, secret: str, connector: Connector, port: int, deadline: float) -> Delivery:
    wanted = LegTarget(Endpoint(host, port, Security.STARTTLS), Login("", secret))
    session, unfit = ExchangerSession(Security.STARTTLS, connector.ehlo_name), ""

    async def talk(recorder: Recorder) -> None:
        nonlocal unfit
        refuse_letter(letter)
        async with conversation(wanted, SmtpParser(connector.limits), connector, recorder) as say:
            await say(session.open())
            unfit = session.unfit(letter)
            if not unfit:
                await say(session.submit(letter))

    report = (await attempt(Leg.SMTP, wanted, deadline, talk)).report(0)
    if unfit:
        return Delivery(Fate.UNFIT, report, unfit)
    return Delivery(fate_of(report, body_sent=session.body_sent), report)


def _failed(code: str, text: str, secret: str) -> Delivery:
    step = Step(Stage.DNS, False, 0, code, clean(text, (secret,)))
    return Delivery(Fate.NOT_SENT, Report(Leg.SMTP, (step,)))
