"""Send what is due: claim, look once more, send, and settle in the transaction that records the evidence (H2, K4)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.health.check import Checked
from mailboxes.health.decide import at_the_door
from mailboxes.health.due import work_within_budgets
from mailboxes.health.evidence import Evidence
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.rules import diagnose
from mailboxes.health.targets import Subject, load
from mailboxes.models import OutMessage
from mailboxes.models.restarts import retry_through_restart
from mailboxes.outbox import claim, settling
from mailboxes.outbox.letters import letter
from mailboxes.providers.presets import family
from mailboxes.states import Source
from mailboxes.wire import faults
from mailboxes.wire.gate import Gate
from mailboxes.wire.letters import Delivery, send_letter
from mailboxes.wire.runner import check
from mailboxes.wire.values import Leg, Report, Stage, Step

SOURCES = {
    OutMessage.Purpose.CAMPAIGN: Source.CAMPAIGN_SEND,
    OutMessage.Purpose.WARMUP: Source.WARMUP_SEND,
    OutMessage.Purpose.REPLY: Source.CAMPAIGN_SEND,
}


def send_due(limit: int, outgoing: Outgoing) -> int:
    """Send one batch. Returns how many messages were claimed."""
    claim.recover(outgoing.clock())
    lease, rows = claim.claim(limit, outgoing.clock())
    if rows:
        _Batch(outgoing, lease, {row.mailbox_id: row for row in rows}).run()
    return len(rows)


@dataclass
class _Batch:
    """The messages of one claim, by mailbox."""

    outgoing: Outgoing
    lease: str
    rows: dict[int, OutMessage]

    def run(self) -> None:
        gate = Gate(self._admit)
        subjects = [replace(one, imap=None, imap_also=one.imap) for one in load(self.rows, self.outgoing.clock())]

        async def work(subject: Subject, token: str) -> tuple[tuple[Report, ...], Delivery]:
            wanted = subject.target(token).smtp
            assert wanted is not None
            row = self.rows[subject.mailbox_id]

            async def may_go() -> bool:
                return await gate.may_go(row.pk)

            delivery = await send_letter(wanted, letter(row), self.outgoing.mail, may_go)
            return (delivery.report, *await self._cross_check(subject, delivery)), delivery

        finish, evidence = self._finish, self._evidence
        for _done in work_within_budgets(subjects, evidence, self.outgoing, work, finish=finish, gate=gate):
            pass  # settled in the transaction of its evidence
        retry_through_restart(lambda: claim.give_back(self.lease, self.outgoing.clock()))

    def _admit(self, ids: Collection[int]) -> set[int]:
        return retry_through_restart(lambda: claim.hand_over(ids, self.lease, self.outgoing.clock()))

    async def _cross_check(self, subject: Subject, delivery: Delivery) -> tuple[Report, ...]:
        """X3: a password that SMTP refuses is tried once on IMAP before it is called wrong."""
        failed = delivery.report.failed
        if failed is None or failed.stage is not Stage.AUTH or subject.grant is not None or subject.imap_also is None:
            return ()
        alone = replace(subject, smtp=None, imap=subject.imap_also)
        return await check(alone.target(), self.outgoing.mail)

    def _evidence(self, checked: Checked[Delivery]) -> list[Evidence]:
        return checked.evidence(SOURCES[OutMessage.Purpose(self.rows[checked.subject.mailbox_id].purpose)])

    def _finish(self, done: Sequence[Checked[Delivery]], now: datetime) -> None:
        # After a fault of our own nobody knows whether a message went out: `claim` finds out by its state.
        known = [one for one in done if one.found is not None or not _is_ours(one)]
        ends = [(self.rows[one.subject.mailbox_id], one.found) for one in known]
        settling.write([(row, _settle(row, delivery, now)) for row, delivery in ends], now)


def _is_ours(one: Checked[Delivery]) -> bool:
    return any(report.failed is not None and report.failed.code == faults.CODE for report in one.reports)


def _settle(row: OutMessage, delivery: Delivery | None, now: datetime) -> settling.Settled:
    if delivery is None:  # its grant was refused: nothing was tried
        return settling.Settled(OutMessage.State.QUEUED, now + settling.OURS_AGAIN_AFTER, counts=False)
    failed = delivery.report.failed
    return settling.settle(row, delivery, _diagnosis(row, failed) if failed else None, now)


def _diagnosis(row: OutMessage, step: Step) -> Diagnosis:
    provider = family(row.mailbox.provider)
    found = diagnose(Reply(text=step.text, leg=Leg.SMTP, stage=step.stage, provider=provider, code=step.code))
    return at_the_door(step, found)
