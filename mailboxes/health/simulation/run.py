"""Days of checks, reads and incidents in simulated time, decided by the code that runs in production. Pure."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Diagnosis, Reply
from mailboxes.health.budget import PLACE_KEPT, HostAccount
from mailboxes.health.decide import Decision, Snapshot, reconsider
from mailboxes.health.evidence import Evidence
from mailboxes.health.incidents.board import Board
from mailboxes.health.incidents.deciding import holds_for, released_at
from mailboxes.health.incidents.ledger import Ledger
from mailboxes.health.incidents.values import MAYBE_OURS, Incident, Key, Phase, Word
from mailboxes.health.policy import MAIL_LEGS
from mailboxes.health.schedule import Round, legs_to_try, next_check
from mailboxes.health.simulation.world import START, TOKEN_LIVES, Box, Site, Tally
from mailboxes.health.thresholds import Thresholds
from mailboxes.states import Source, Status, needs_reconnect
from mailboxes.wire.values import Leg, Stage, Step

READ_EVERY = timedelta(minutes=15)
LOOKED_AT_EVERY = timedelta(seconds=15)
TICK = timedelta(seconds=5)  # how often the worker looks for what is due
ATTEMPT_TAKES = timedelta(seconds=2)
FRESH = timedelta(minutes=5)
AFTER_INCIDENT_AT_MOST = timedelta(minutes=30)
CHECK, READ, LOOK, WORD = range(4)


@lru_cache(maxsize=4096)
def diagnose(reply: Reply) -> Diagnosis:
    """Return the shipped rules' diagnosis: the same few texts come a million times."""
    return engine().diagnose(reply)


@dataclass(frozen=True, slots=True)
class Words:
    """What a person says of the incidents that are open, so long after the first one opened."""

    word: Word = Word.NONE
    after: timedelta = timedelta(0)


class Simulation:
    """One run. `fault_until` is when the scenario's fault is over; `words` is what a person does about incidents;
    `flagged_within` is how soon a real refusal has to be flagged where no incident holds it."""

    def __init__(
        self,
        boxes: Sequence[Box],
        site: Site,
        numbers: Thresholds,
        *,
        begins: datetime,
        ends: datetime,
        fault_until: datetime,
        seed: int,
        words: Words | None = None,
        refusals_allowed: int | None = None,
        flagged_within: timedelta = timedelta(minutes=13),
    ) -> None:
        self.boxes = {box.snapshot.id: box for box in boxes}
        self.site, self.numbers = site, numbers
        self.begins, self.ends, self.fault_until = begins, ends, fault_until
        self.book = Ledger(numbers, population=len(boxes))
        self.board = Board(numbers, self.book)
        self.tally = Tally()
        self._words = words or Words()
        self._flagged_within = flagged_within
        self._host, self._refusals_allowed = HostAccount(), refusals_allowed
        self._rng = random.Random(seed)
        self._queue: list[tuple[datetime, int, int]] = []
        self._unwell: set[int] = set()
        self._waiting: set[int] = set()

    def run(self) -> Tally:
        """Run to the end and return what was counted."""
        for box in self.boxes.values():
            self._push(box.next_check_at, CHECK, box)
            self._push(box.next_read_at, READ, box)
        heapq.heappush(self._queue, (self.begins, LOOK, 0))
        while self._queue and self._queue[0][0] < self.ends:
            at, what, number = heapq.heappop(self._queue)
            numbers = [number, *self._due_together(at, what)]
            self._do(what, numbers, at)
        for box in self.boxes.values():
            self._count_out(box, self.ends, ends=True)
        return self.tally

    def _due_together(self, at: datetime, what: int) -> Iterator[int]:
        """The others of one look of the worker: each kind of work is one batch, decided in one go."""
        while self._queue and self._queue[0][:2] == (at, what):
            yield heapq.heappop(self._queue)[2]

    def _do(self, what: int, numbers: Sequence[int], at: datetime) -> None:
        if what == LOOK:
            self._look(at)
        elif what == WORD:
            self._say(at)
        else:
            attempt = self._check if what == CHECK else self._read
            boxes = (self.boxes[number] for number in dict.fromkeys(numbers))
            found = [(box, evidence) for box in boxes if (evidence := attempt(box, at))]
            self._decide(found, at)

    def _push(self, at: datetime | None, what: int, box: Box) -> None:
        if at is not None:
            heapq.heappush(self._queue, (_next_look(at), what, box.snapshot.id))

    def _check(self, box: Box, at: datetime) -> list[Evidence]:
        if box.next_check_at is None or box.next_check_at > at:
            return []  # postponed meanwhile
        box.next_check_at = None
        found = box.snapshot
        legs = legs_to_try(found.legs, self._round(found, at))
        if not self._has_room(len(legs), at):
            self._schedule(box, at + PLACE_KEPT)
            return []
        return list(self._evidence(box, [leg for leg in MAIL_LEGS if leg in legs], Source.CHECK, at))

    def _read(self, box: Box, at: datetime) -> list[Evidence]:
        box.next_read_at = at + READ_EVERY
        self._push(box.next_read_at, READ, box)
        throttled = box.snapshot.throttled_until
        may_log_in = not (throttled and throttled > at) and self._has_room(1, at)
        if box.snapshot.standing.status is not Status.CONNECTED or not may_log_in:
            return []
        return list(self._evidence(box, [Leg.IMAP], Source.INBOX_READ, at))

    def _has_room(self, logins: int, at: datetime) -> bool:
        """X6, where the scenario's host bans."""
        return self._refusals_allowed is None or self._host.room(self._refusals_allowed, at) >= logins

    def _decide(self, found: Sequence[tuple[Box, list[Evidence]]], at: datetime) -> None:
        batch = [(box.snapshot, evidence) for box, evidence in found]
        decisions, changed = self.board.decide(batch, diagnose, at)
        for (box, _evidence), decision in zip(found, decisions, strict=True):
            self._apply(box, decision, at)
        for incident in changed:
            self._follow(incident, at)

    def _evidence(self, box: Box, legs: Sequence[Leg], source: Source, at: datetime) -> Iterator[Evidence]:
        """SMTP before IMAP; a new access token where the old one is near its end, or is refused once (H4)."""
        steps: list[tuple[Leg, Step | None]] = []
        if Leg.OAUTH in box.snapshot.legs and box.token_until - at < FRESH:
            steps.append((Leg.OAUTH, self._refresh(box, at)))
        if not steps or steps[0][1] is None:
            steps += self._logins(box, legs, at)
        if (
            Leg.OAUTH in box.snapshot.legs
            and steps[0][0] is not Leg.OAUTH
            and any(step is None for _leg, step in steps)
        ):
            steps.insert(0, (Leg.OAUTH, None))  # the access token still works
        for place, (leg, step) in enumerate(steps):
            observed = at + ATTEMPT_TAKES * (place + 1) / 4
            yield Evidence(box.snapshot.id, leg, source, 1, at, observed, step)

    def _logins(self, box: Box, legs: Sequence[Leg], at: datetime) -> list[tuple[Leg, Step | None]]:
        found: list[tuple[Leg, Step | None]] = []
        for leg in legs:
            other_is_refused = any(step is not None and step.stage is Stage.AUTH for _leg, step in found)
            if other_is_refused and box.snapshot.legs[leg].is_refused:
                break  # both say so already: no third login in one go
            step = self.site.ask(box, leg, at)
            self.tally.logins += 1
            if step is not None and step.stage is Stage.AUTH and Leg.OAUTH in box.snapshot.legs:
                refreshed = self._refresh(box, at)
                if refreshed is not None:
                    return [(Leg.OAUTH, refreshed)]
                step = self.site.ask(box, leg, at)
                self.tally.logins += 1
            if step is not None and step.stage is Stage.AUTH:
                self.tally.refused_by_host.append(at)
                self._host.settle(box.snapshot.id, 1, at)
                if box.is_refused(at) and box.met_at is None:
                    box.met_at = at
            found.append((leg, step))
        return found

    def _refresh(self, box: Box, at: datetime) -> Step | None:
        step = self.site.ask(box, Leg.OAUTH, at)
        if step is None:
            box.token_until = at + TOKEN_LIVES
        return step

    def _round(self, found: Snapshot, at: datetime, decision: Decision | None = None) -> Round:
        throttled = decision.throttled_until if decision is not None else None
        return Round(
            now=at,
            mailbox_id=found.id,
            one_login=found.one_login,
            tenant_probe=self._is_probe(found, decision),
            begun_at=at,
            throttled_until=throttled or found.throttled_until,
            stumbled=decision is not None and bool(decision.filed),
            capped=decision is not None and decision.capped,
            holds=holds_for(self.board.active, found.scopes, at, self.numbers),
            numbers=self.numbers,
        )

    def _is_probe(self, found: Snapshot, decision: Decision | None) -> bool:
        """The first mailbox of a tenant probes for all of it."""
        legs = decision.legs if decision is not None else found.legs
        off = [state for state in legs.values() if state.category == "tenant_smtp_disabled"]
        return bool(off) and found.id == min([found.id, *self._of_tenant(found.tenant)])

    def _of_tenant(self, tenant: str) -> list[int]:
        return [key for key in self._unwell if self.boxes[key].snapshot.tenant == tenant]

    def _apply(self, box: Box, decision: Decision, at: datetime) -> None:
        before, after = box.snapshot, decision.standing
        (self._waiting.add if decision.capped else self._waiting.discard)(before.id)
        changed = before.standing.state != after.state
        self.tally.changes += changed
        due = box.next_check_at
        if decision.last is not None or changed:
            due = next_check(decision.legs, self._round(before, at, decision))
        box.snapshot = replace(
            before,
            legs=decision.legs,
            standing=after,
            state_version=before.state_version + changed,
            status_since=at if before.standing.status is not after.status else before.status_since,
            throttled_until=decision.throttled_until or before.throttled_until,
            next_check_at=due,
        )
        self._schedule(box, max(due, at + TICK) if due is not None else None)
        if changed:
            self._note_change(box, before, at)

    def _schedule(self, box: Box, due: datetime | None) -> None:
        if due != box.next_check_at:
            box.next_check_at = due
            self._push(due, CHECK, box)

    def _note_change(self, box: Box, before: Snapshot, at: datetime) -> None:
        was, now = _is_flagged(before), _is_flagged(box.snapshot)
        if now and not was:
            self._note_flag(box, at)
        box.flagged_at = at if now and not was else box.flagged_at if now else None
        self._count_out(box, at)
        if box.snapshot.standing.status is Status.CONNECTED:
            self._unwell.discard(box.snapshot.id)
            self._wake_tenant(before, at)
        else:
            self._unwell.add(box.snapshot.id)
        all_well = all(self.boxes[key].is_refused(at) for key in self._unwell)
        self.tally.all_well_at = at if all_well else None

    def _wake_tenant(self, before: Snapshot, at: datetime) -> None:
        if before.standing.cause.category == "tenant_smtp_disabled":
            for key in self._of_tenant(before.tenant):
                self._schedule(self.boxes[key], at)

    def _note_flag(self, box: Box, at: datetime) -> None:
        if not box.is_refused(at):
            self.tally.flagged_wrongly += 1
            return
        self.tally.flagged_rightly += 1
        waited = at - (box.met_at or at)
        self.tally.minutes_to_flag.append(waited / timedelta(minutes=1))
        if self.tally.incidents:  # held while one is open
            over = max(self.fault_until, self.tally.incident_over_at or at)
            self.tally.flagged_late += at - over > AFTER_INCIDENT_AT_MOST
        else:
            self.tally.flagged_late += waited > self._flagged_within

    def _count_out(self, box: Box, at: datetime, *, ends: bool = False) -> None:
        is_out = box.snapshot.standing.status is not Status.CONNECTED
        if box.out_since is not None and (ends or not is_out):
            box.out_of_work += at - box.out_since
            box.out_since = None
        elif box.out_since is None and is_out and not ends:
            box.out_since = at

    # ---- incidents

    def _look(self, at: datetime) -> None:
        """What the worker does every few seconds: flag those that wait for the cap, end candidates and incidents whose
        time is over."""
        waiting = [self.boxes[key] for key in sorted(self._waiting)]
        for box, decision in zip(
            waiting, self.board.decide_waiting((box.snapshot for box in waiting), at), strict=True
        ):
            self._apply(box, decision, at)
        heapq.heappush(self._queue, (at + LOOKED_AT_EVERY, LOOK, 0))
        pending = [key for key, one in self.board.incidents.items() if one.phase is not Phase.CLOSED]
        for incident in self.board.look_at(pending, at):
            self._follow(incident, at)

    def _follow(self, incident: Incident, at: datetime) -> None:
        if incident.recovering_at == at or (incident.word is Word.BY_RULE and incident.phase is Phase.OPEN):
            self._recheck(incident, at)
        elif incident.phase is Phase.CANDIDATE:
            self._pull_forward(incident.key, at)
            self._ask_others(incident.key, at)
        elif incident.phase is Phase.OPEN:
            self._ask_others(incident.key, at)
            self._note_incident(incident, at)
            self._reconsider(incident, at)
        else:
            self.tally.incident_over_at = at if incident.opened_at is not None else self.tally.incident_over_at
            self._release(incident, at)

    def _note_incident(self, incident: Incident, at: datetime) -> None:
        self.tally.incidents += not incident.ours
        self.tally.alarms += incident.ours
        if self.tally.first_incident_at is None:
            self.tally.first_incident_at = at
            if self._words.word:
                heapq.heappush(self._queue, (at + self._words.after, WORD, 0))

    def _of_key(self, key: Key) -> Iterator[Box]:
        return (box for box in self.boxes.values() if box.snapshot.scopes.get(key.leg) == key.scope)

    def _pull_forward(self, key: Key, at: datetime) -> None:
        others = [box for box in self._of_key(key) if box.snapshot.standing.status is Status.CONNECTED]
        for box in self._rng.sample(others, min(len(others), self.numbers.candidate_pulls_forward)):
            self._schedule(box, at)

    def _ask_others(self, key: Key, at: datetime) -> None:
        """Whether it is our own fault: a few mailboxes of other providers say so."""
        if key.is_ours or key.failure_class not in MAYBE_OURS:
            return
        by_group: dict[int, list[Box]] = {}
        for box in self.boxes.values():
            if box.snapshot.scopes.get(key.leg) != key.scope and box.snapshot.standing.status is Status.CONNECTED:
                by_group.setdefault(box.group, []).append(box)
        for group in sorted(by_group)[: self.numbers.asks_other_providers]:
            for box in by_group[group][: self.numbers.asks_mailboxes_of_each]:
                self._schedule(box, at)

    def _reconsider(self, incident: Incident, at: datetime, *, by_word: bool = False) -> None:
        for box in list(self._of_key(incident.key)):
            if box.snapshot.id in self._unwell:
                found = box.snapshot
                holds = holds_for(self.board.active, found.scopes, at, self.numbers)
                decision = reconsider(found, at, holds=holds, numbers=self.numbers, by_word=by_word)
                self._apply(box, decision, at)

    def _release(self, incident: Incident, at: datetime) -> None:
        self.book.forget_worse(incident.key, incident.started_at, at)
        self._recheck(incident, at)

    def _recheck(self, incident: Incident, at: datetime) -> None:
        """The spread-out queue: one login each."""
        for box in self._of_key(incident.key):
            if box.snapshot.id in self._unwell or box.snapshot.legs[incident.key.leg].course is not None:
                self._schedule(box, released_at(self._rng.random(), at, self.numbers))

    def _say(self, at: datetime) -> None:
        for key, incident in list(self.board.incidents.items()):
            if incident.phase is Phase.OPEN and not incident.ours:
                self.board.incidents[key] = replace(incident, word=self._words.word)
                if self._words.word is Word.REAL:
                    self._reconsider(self.board.incidents[key], at, by_word=True)


def _next_look(at: datetime) -> datetime:
    """When the worker looks next for what is due."""
    return START + math.ceil((at - START) / TICK) * TICK


def _is_flagged(found: Snapshot) -> bool:
    standing = found.standing
    return needs_reconnect(
        standing.status, auth_failure_open=standing.auth_failure_open, pause_reason=standing.pause_reason
    )


def flagged_now(boxes: Iterable[Box]) -> list[Box]:
    """Return those that ask for a reconnect now."""
    return [box for box in boxes if _is_flagged(box.snapshot)]
