"""What warm-up does with mail (`mailboxes.inbox.plugs`)."""

from __future__ import annotations

from collections.abc import Collection

from warmup.choosing import choose, is_waiting
from warmup.taking import take


def keen(mailbox_ids: Collection[int]) -> set[int]:
    """None: warm-up mail can wait for the usual reading."""
    return set()


__all__ = ["choose", "is_waiting", "keen", "take"]
