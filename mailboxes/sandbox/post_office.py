"""The post office of the sandbox: who gets what was accepted, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailboxes.sandbox import replies
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.folders import SEEN, SENT, Message


@dataclass(frozen=True)
class Arrival:
    """One acceptance of a message for one recipient."""

    recipient: str
    sender: str
    message_id: str
    raw: bytes = field(repr=False)
    at: datetime


@dataclass
class Person:
    """Somebody outside: a lead. `manner` says how they take mail: "silent" only receives, "answers" answers in thread
    from the `answers_after`-th message on, "away" has an out-of-office note, "gone" bounces, "slow" is delayed."""

    manner: str = "silent"
    answers_after: int = 1
    received: list[bytes] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if self.manner not in _REACTIONS:
            raise ValueError(f"a person's manner is one of {', '.join(_REACTIONS)}")

    def take(self, own: str, sender: str, raw: bytes) -> bytes | None:
        """Receive a message at the address `own`; what comes back to the sender, or None."""
        self.received.append(raw)
        if self.manner == "answers" and len(self.received) < self.answers_after:
            return None
        return _REACTIONS[self.manner](own, sender, raw)


def _answer(person: str, account: str, raw: bytes) -> bytes:
    return replies.answer(person, account, "Thank you for your message. Tell me more.", raw)


_REACTIONS: Mapping[str, Callable[[str, str, bytes], bytes | None]] = {
    "silent": lambda _person, _account, _raw: None,
    "answers": _answer,
    "away": replies.away,
    "gone": replies.bounce,
    "slow": replies.delay,
}


class PostOffice:
    """Serves all accounts. `people` holds those outside by address in lower case; `arrived` what was accepted, once for
    each recipient of each acceptance. What comes back by itself is delivered without being counted there."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self.accounts = accounts
        self.people: dict[str, Person] = {}
        self.arrived: list[Arrival] = []

    def post(self, sender_account: Account, mail_from: str, recipients: Sequence[str], raw: bytes) -> None:
        """Bring an accepted message to each recipient, and a copy to Sent where the sender's provider keeps one."""
        at = datetime.now(UTC)
        message_id = Message(0, raw).message_id
        if sender_account.saves_sent:
            sender_account.keep(raw, SENT, {SEEN}, at)
        for recipient in dict.fromkeys(recipients):
            self.arrived.append(Arrival(recipient, mail_from, message_id, raw, at))
            back = self._bring(recipient, sender_account.address, raw)
            if back and mail_from:
                sender_account.receive(back)

    def knows(self, address: str) -> bool:
        """True where somebody has this address, as the domain's exchanger sees it."""
        return self._account(address) is not None or address.lower() in self.people

    def deliver(self, mail_from: str, recipients: Sequence[str], raw: bytes) -> None:
        """Bring a message that came from outside, by the domain's exchanger; it is not counted in `arrived`."""
        for recipient in dict.fromkeys(recipients):
            self._bring(recipient, mail_from, raw)

    def _account(self, address: str) -> Account | None:
        account = self.accounts.get(address) or self.accounts.get(address.lower())
        return account if account is not None and account.is_at_exchanger else None

    def answer(self, person: str, account: str, text: str, to_message: bytes | None = None) -> bytes:
        """A person's message arrives at an account now, and is given: in reply to `to_message`, or else to what the
        account last sent to them; with b"" it replies to nothing."""
        if to_message is None:
            wanted = (person.lower(), account.lower())
            sent = [one.raw for one in self.arrived if (one.recipient.lower(), one.sender.lower()) == wanted]
            to_message = sent[-1] if sent else b""
        raw = replies.answer(person, account, text, to_message)
        self.accounts[account].receive(raw)
        return raw

    def _bring(self, recipient: str, sender: str, raw: bytes) -> bytes | None:
        """Give the message to whoever has the address; what comes back to the sender, or None."""
        account = self._account(recipient)
        if account is not None:
            account.receive(raw)
            return None
        person = self.people.get(recipient.lower())
        return person.take(recipient, sender, raw) if person else replies.bounce(recipient, sender, raw)
