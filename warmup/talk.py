"""What warm-up messages say: short, ordinary letters about everyday work, put together at random."""

from __future__ import annotations

import random

_SUBJECTS = (
    "Notes from this morning", "The list you asked for", "A question about Thursday", "Short update",
    "Room for the workshop", "Numbers for last month", "Before you go", "One more thing", "Plans for next week",
    "Reading for the train", "The new coffee machine", "Photos from the visit", "Lunch on Friday",
)  # fmt: skip
_OPENINGS = ("Hi there,", "Hello,", "Good morning,", "Hi,", "Good afternoon,")
_FIRST = (
    "I went through the notes again and most of it reads well now.",
    "The room on the second floor is free all afternoon, so we can stay there.",
    "Thanks for sending the figures over, they look right to me.",
    "I have moved our talk to half past three, I hope that suits you.",
    "The parcel arrived yesterday and everything was in it.",
    "We counted the chairs and there are enough for everybody.",
)
_SECOND = (
    "Could you have a look at the last page before we send it round?",
    "If nothing speaks against it, I will confirm it tomorrow.",
    "Let me know which of the two dates is easier for you.",
    "I will bring a printed copy along.",
    "There is no hurry, any time this week is fine.",
    "The others have said yes already.",
)
_CLOSINGS = ("Best regards", "Kind regards", "Until then", "Many thanks", "All the best")
_ANSWERS = (
    "Thank you, that works for me.", "Good idea, let us do it that way.", "I had a look and it is fine as it is.",
    "Thursday is better on my side.", "Yes, please go ahead.", "Thanks for letting me know, I will be there.",
)  # fmt: skip


def opening() -> tuple[str, str]:
    """Subject and body of a first message."""
    parts = (_pick(_OPENINGS), f"{_pick(_FIRST)} {_pick(_SECOND)}", _pick(_CLOSINGS))
    return _pick(_SUBJECTS), "\n\n".join(parts) + "\n"


def answer() -> str:
    """The body of an answer."""
    return "\n\n".join((_pick(_OPENINGS), _pick(_ANSWERS), _pick(_CLOSINGS))) + "\n"


def _pick(words: tuple[str, ...]) -> str:
    return random.choice(words)  # noqa: S311 - no secret
