"""Run a fixed list of jobs in the pool that production fills as it goes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from mailboxes.wire.runner import Bounds, Job, Pool

KeyT = TypeVar("KeyT")
ResultT = TypeVar("ResultT")


def stream(
    jobs: Sequence[Job[KeyT, ResultT]], bounds: Bounds, start_by: float = math.inf
) -> Iterator[tuple[KeyT, ResultT]]:
    """Each result as it comes."""
    with Pool[KeyT, ResultT](bounds, start_by) as pool:
        for job in jobs:
            pool.add(job)
        yield from (found for found in pool.results() if found is not None)
