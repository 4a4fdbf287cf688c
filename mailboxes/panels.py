"""Panels of the upper apps on the mailbox's page: they register themselves, so that mailboxes need not know them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailboxes.models import Mailbox


@dataclass(frozen=True, slots=True)
class Panel:
    """A titled list of lines, each with a link or ""."""

    title: str
    lines: Sequence[tuple[str, str]]
    empty: str


_makers: list[Callable[[Mailbox], Panel]] = []


def register(maker: Callable[[Mailbox], Panel]) -> Callable[[Mailbox], Panel]:
    """Show this maker's panel on every mailbox's page."""
    if maker not in _makers:
        _makers.append(maker)
    return maker


def panels(mailbox: Mailbox) -> list[Panel]:
    """The registered panels, made for this mailbox."""
    return [maker(mailbox) for maker in _makers]
