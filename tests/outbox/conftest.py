"""One mailbox at work on an account of the sandbox, with a message that waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from mailboxes.health.outgoing import Outgoing
from mailboxes.models import Mailbox, OutMessage
from mailboxes.outbox import queue
from mailboxes.outbox.sending import send_due
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from tests.make import Clock, make_outgoing
from tests.post import arrived, connect, make_people, make_workers, read


@dataclass
class Desk:
    """A mailbox that can send, its account, and the way out."""

    sandbox: Sandbox
    clock: Clock
    mailbox: Mailbox
    account: Account
    outgoing: Outgoing

    def put(self, recipient: str = "", **values: object) -> OutMessage:
        """Queue a message to a person."""
        to = recipient or make_people(self.sandbox, 1)[0]
        draft = queue.Draft(self.mailbox, "campaign", to, "Hello", "Hello there.", self.clock.now, **values)  # type: ignore[arg-type]
        [row] = queue.put([draft], self.clock.now)
        return row

    def send(self) -> int:
        """One batch."""
        return send_due(50, self.outgoing)

    def read(self) -> None:
        """Read the inbox, and look into Sent where that is wanted."""
        read(self.outgoing)

    def heal(self) -> None:
        """A lost connection takes the mailbox out of work until the next check, in a minute; then its inbox is read."""
        self.clock.move(minutes=2)
        connect([self.mailbox], self.outgoing)

    def state(self, row: OutMessage) -> str:
        """The message's state now."""
        return OutMessage.objects.get(pk=row.pk).state

    def status(self) -> str:
        """The mailbox's status now."""
        return Mailbox.objects.get(pk=self.mailbox.pk).status

    def taken(self, row: OutMessage) -> int:
        """How often the server took it."""
        return arrived(self.sandbox, [row.recipient])[row.message_id]


@pytest.fixture
def desk(sandbox: Sandbox, clock: Clock) -> Iterator[Desk]:
    [(mailbox, account)] = make_workers(sandbox, 1)
    outgoing = make_outgoing(sandbox, clock)
    connect([mailbox], outgoing)
    yield Desk(sandbox, clock, mailbox, account, outgoing)
