"""Questions that running jobs ask of the thread that began them, where the database is; answered in groups."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Collection
from dataclasses import dataclass, field


def _nobody() -> None:
    """Nobody waits yet."""


@dataclass
class Gate:
    """Whether jobs may go on. `admit` takes their keys and gives those that may; it runs in the caller's thread,
    once for all that wait at that moment."""

    admit: Callable[[Collection[int]], Collection[int]]
    wake: Callable[[], None] = _nobody
    _asked: queue.SimpleQueue[tuple[int, asyncio.Future[bool]]] = field(default_factory=queue.SimpleQueue)

    async def may_go(self, key: int) -> bool:
        """Ask, from a running job, and wait for the answer."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.put((key, answer))
        self.wake()
        return await answer

    def answer(self) -> None:
        """Answer all who wait; from the caller's thread."""
        waiting: list[tuple[int, asyncio.Future[bool]]] = []
        while not self._asked.empty():
            waiting.append(self._asked.get_nowait())
        if not waiting:
            return
        admitted = set(self.admit([key for key, _answer in waiting]))
        for key, answer in waiting:
            answer.get_loop().call_soon_threadsafe(_tell, answer, key in admitted)


def _tell(answer: asyncio.Future[bool], may_go: bool) -> None:
    if not answer.done():  # its job may have run out of time meanwhile
        answer.set_result(may_go)
