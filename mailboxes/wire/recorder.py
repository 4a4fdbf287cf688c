"""Writes down the stages of one leg as they pass or fail."""

from __future__ import annotations

import time
from collections.abc import Callable

from mailboxes.wire import faults
from mailboxes.wire.clean import clean
from mailboxes.wire.values import Leg, Report, Stage, Step, WireFault

CODE_CHARS = 64


class Recorder:
    """Turns "now in this stage" and "this failed" into the steps of a Report.

    `secrets` gives what never appears in a recorded text; it is asked when there is one. `clock` returns seconds.
    """

    def __init__(
        self, leg: Leg, secrets: Callable[[], tuple[str, ...]] = tuple, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.leg = leg
        self.stage: Stage | None = None
        self._secrets = secrets
        self._clock = clock
        self._since = clock()
        self._steps: list[Step] = []
        self._words = ("", "")

    def enter(self, stage: Stage) -> None:
        """The leg has come to `stage`: what stood before it has passed."""
        if stage is not self.stage:
            self._close(ok=True)
            self.stage = stage

    def turn_into(self, stage: Stage) -> None:
        """What was taken for the present stage is `stage`: nothing has passed."""
        self.stage = stage

    def fault(self, code: str, text: str | bytes) -> WireFault:
        """The WireFault for a failure in the present stage, cleaned; the caller raises it."""
        return WireFault(self.stage or Stage.CONNECT, self._clean_code(code), clean(text, self._secrets()))

    def failed(self, fault: WireFault) -> None:
        """The leg ended with `fault`."""
        self.enter(fault.stage)
        self._words = (self._clean_code(fault.code), clean(fault.text, self._secrets()))
        self._close(ok=False)

    def failed_by_us(self, error: Exception) -> None:
        """The leg ended with a fault of our own, which is shown and never held against the mailbox."""
        self.failed(WireFault(self.stage or Stage.CONNECT, faults.CODE, faults.words_for(error)))

    def passed(self) -> None:
        """The leg came to its end: the present stage has passed."""
        self._close(ok=True)

    def report(self, ended_ms: int = 0, folders: tuple[str, ...] = ()) -> Report:
        """All steps so far."""
        return Report(self.leg, tuple(self._steps), ended_ms, folders)

    def _clean_code(self, code: str) -> str:
        """Some codes are a server's own words: as hostile as its text."""
        return " ".join(clean(code, self._secrets()).split())[:CODE_CHARS]

    def _close(self, *, ok: bool) -> None:
        now = self._clock()
        if self.stage is not None:
            elapsed_ms = round((now - self._since) * 1000)
            self._steps.append(Step(self.stage, ok, elapsed_ms, *self._words))
        self._since, self._words, self.stage = now, ("", ""), None
