"""Panels of the upper apps on the mailbox's page: they register themselves, so that mailboxes need not know them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailboxes.models import Mailbox
from mailboxes.states import Status


@dataclass(frozen=True, slots=True)
class Panel:
    """A titled list of lines, each with a link into the admin or "". `resumes` says in half a sentence what goes on
    when the mailbox is back ("3 messages go out"), or nothing."""

    title: str
    lines: Sequence[tuple[str, str]]
    empty: str
    resumes: str = ""


_makers: list[Callable[[Mailbox], Panel]] = []


def register(maker: Callable[[Mailbox], Panel]) -> Callable[[Mailbox], Panel]:
    """Show this maker's panel on every mailbox's page."""
    if maker not in _makers:
        _makers.append(maker)
    return maker


def panels(mailbox: Mailbox) -> list[Panel]:
    """The registered panels, made for this mailbox."""
    return [maker(mailbox) for maker in _makers]


def resumes(mailbox: Mailbox, made: Sequence[Panel]) -> str:
    """What reconnecting will resume, in one sentence (X5, A4); "" for a mailbox that works, or is removed, or where
    nothing waits."""
    told = [one.resumes for one in made if one.resumes]
    if mailbox.status == Status.CONNECTED or mailbox.removed_at is not None or not told:
        return ""
    return f"When it is back: {', '.join(told)}."
