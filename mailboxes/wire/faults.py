"""Faults of our own, told without values: messages and variables may hold a secret, frames and types do not (S1)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from traceback import walk_tb

CODE = "EINTERNAL"  # of a failed step; rules.toml knows it
_MOST_FRAMES = 24
_MOST_CAUSES = 4


def log_fault(logger: logging.Logger, error: BaseException, what: str, *about: object) -> None:
    """Log `what`, filled with `about`, as an error, with where the exception came from: frames and types alone.

    Use it wherever an exception may hold a stranger's words or a customer's; `logger.exception` would log its text.
    """
    logger.error(f"{what}: %s\n%s", *about, type(error).__name__, "\n".join(trace(error)))


def trace(error: BaseException) -> Iterator[str]:
    """Yield a line for each frame, outermost first, and the type at the end; causes come after what they caused."""
    cause: BaseException | None = error
    for _cause in range(_MOST_CAUSES):
        if cause is None:
            return
        yield from _frames(cause)
        yield type(cause).__name__
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def words_for(error: BaseException) -> str:
    """Return what a step says of it: the type, and the place in our code where it arose."""
    *_, place = ["an unknown place", *(frame.strip() for frame in _frames(error))]
    return f"Postmend made a mistake here, and the mailbox is not to blame: {type(error).__name__} at {place}"


def _frames(error: BaseException) -> Iterator[str]:
    """A recursion has a thousand alike: its beginning and its end say it."""
    found = [
        f"  {frame.f_globals.get('__name__', '?')}:{line} in {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    if len(found) > _MOST_FRAMES:
        half = _MOST_FRAMES // 2
        found[half:-half] = [f"  … {len(found) - _MOST_FRAMES} more"]
    yield from found
