"""Read what is due: visit, and store what came with its cursor, in the transaction that records the evidence (I1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mailboxes.health.check import Checked
from mailboxes.health.due import work_within_budgets
from mailboxes.health.evidence import Evidence
from mailboxes.health.outgoing import Outgoing
from mailboxes.health.targets import Subject, load
from mailboxes.inbox import due, storing
from mailboxes.inbox.plans import Plan, plan_visits
from mailboxes.states import Source
from mailboxes.wire.imap_visit import visit
from mailboxes.wire.values import Report
from mailboxes.wire.visits import Visit


def read_due(limit: int, outgoing: Outgoing) -> int:
    """Read one batch of what is due. Returns how many mailboxes were claimed."""
    ids = due.claim_due(limit, outgoing.clock())
    if ids:
        read(ids, outgoing)
    return len(ids)


def read(mailbox_ids: Collection[int], outgoing: Outgoing) -> list[Checked[Visit]]:
    """Visit these mailboxes once, side by side, and store what comes."""
    plans = plan_visits(mailbox_ids, outgoing.clock())
    subjects = [replace(one, smtp=None) for one in load(plans, outgoing.clock()) if one.imap]

    async def work(subject: Subject, token: str) -> tuple[tuple[Report, ...], Visit]:
        wanted = subject.target(token).imap
        assert wanted is not None
        found = await visit(wanted, plans[subject.mailbox_id].visit, outgoing.mail)
        return (found.report,), found

    finish = _finish(plans)
    done = list(work_within_budgets(subjects, _evidence, outgoing, work, finish=finish))
    # What cannot be loaded keeps its lease; what found no room comes back sooner.
    left = {one.mailbox_id for one in subjects} - {one.subject.mailbox_id for one in done}
    due.put_off(left, outgoing.clock())
    return done


def _evidence(checked: Checked[Visit]) -> list[Evidence]:
    return checked.evidence(Source.INBOX_READ)


def _finish(plans: Mapping[int, Plan]) -> storing.Finish:
    def finish(done: Sequence[Checked[Visit]], now: datetime) -> None:
        storing.store([_brought(one, found, plans) for one in done if (found := one.found) is not None], now)

    return finish


def _brought(one: Checked[Visit], found: Visit, plans: Mapping[int, Plan]) -> storing.Brought:
    subject = one.subject
    return storing.Brought(subject.mailbox_id, subject.address, plans[subject.mailbox_id], found, one.begun_at)
