"""What a decision says of a provider, and of our own way out: the stream that incidents are read from. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mailboxes.diagnosis.categories import Category, Course
from mailboxes.health.decide import Decision, Filed
from mailboxes.health.evidence import Evidence
from mailboxes.health.failure_class import FailureClass, class_of
from mailboxes.health.incidents.values import EGRESS, RESOLVER, Seen
from mailboxes.states import Status
from mailboxes.wire.values import Leg, Stage

_WORSE = frozenset({Status.SUSPECT, Status.ERROR, Status.NEEDS_REAUTH})
_SAYS_NOTHING = frozenset({Course.THROTTLED, Course.OURS})
_LOGGED_IN = frozenset({Course.RESTING, Course.IGNORED})
# Nobody answered at all: as likely our own way out as the other side.
_NO_ANSWER = frozenset({Category.TIMEOUT, Category.UNREACHABLE})
# Both legs leave by one way: what is ours is counted under one leg.
OUR_LEG = Leg.SMTP


def seen_in(decision: Decision) -> Iterator[Seen]:
    """Yield what the evidence of one mailbox shows of its providers and of our own way out.

    Only credentials that had worked count: a mistyped password says nothing of a provider.
    """
    filed = {id(one.evidence): one for one in decision.filed}
    for item in decision.evidence:
        before = decision.snapshot.legs.get(item.leg)
        found = filed.get(id(item))
        if before is None or before.last_ok is None or (found is not None and found.ignored):
            continue
        yield from _of_provider(decision, item, found)
        yield from _of_ours(decision, item, found)


def _of_provider(decision: Decision, item: Evidence, found: Filed | None) -> Iterator[Seen]:
    snapshot = decision.snapshot
    failure_class, text, worse = None, "", False
    if found is not None:
        if found.diagnosis.course in _SAYS_NOTHING:
            return
        assert item.failure is not None
        if found.diagnosis.course not in _LOGGED_IN:
            failure_class = class_of(found.diagnosis.category, item.failure.stage.value)
            if failure_class is None:
                return
            text, worse = item.failure.text, _is_worse(decision, item.leg)
    yield Seen(
        scope=snapshot.scopes[item.leg],
        leg=item.leg,
        at=item.observed_at,
        mailbox_id=snapshot.id,
        group=str(snapshot.workspace_id),
        domain=snapshot.domain,
        failure_class=failure_class,
        worse=worse,
        again=snapshot.legs[item.leg].course is not None,
        text=text,
    )


def _of_ours(decision: Decision, item: Evidence, found: Filed | None) -> Iterator[Seen]:
    """The name server, for whoever asked it; the way out, for whoever came as far as a connection."""
    step = item.failure
    stage = step.stage if step is not None else None
    no_name = found is not None and stage is Stage.DNS and found.diagnosis.course is Course.PASSING
    yield _ours(decision, item, RESOLVER, FailureClass.NAME if no_name else None)
    if stage is Stage.DNS:
        return
    silent = found is not None and stage is Stage.CONNECT and found.diagnosis.category in _NO_ANSWER
    yield _ours(decision, item, EGRESS, FailureClass.NETWORK if silent else None)


def _ours(decision: Decision, item: Evidence, scope: str, failure_class: FailureClass | None) -> Seen:
    return Seen(
        scope=scope,
        leg=OUR_LEG,
        at=item.observed_at,
        mailbox_id=decision.snapshot.id,
        group=decision.snapshot.scopes[item.leg],
        domain=decision.snapshot.domain,
        failure_class=failure_class,
        text=item.failure.text if item.failure is not None and failure_class is not None else "",
    )


def _is_worse(decision: Decision, leg: Leg) -> bool:
    before, after = decision.snapshot.standing, decision.standing
    changed = before.status is not after.status and after.status in _WORSE
    return changed and before.status is Status.CONNECTED and after.cause.leg == leg.value
