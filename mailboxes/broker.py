"""The queue's broker: django-q2's own on our database, which hands out our own tasks alone (finding SEC-3).

Whoever can write a row of the queue or a schedule could otherwise have any function run. A setting of the queue
(`broker_class`) names it, so that every cluster reads through it.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core import signing
from django_q.brokers.orm import ORM
from django_q.signing import SignedPackage

logger = logging.getLogger(__name__)

OWN_TASKS = frozenset(
    f"mailboxes.tasks.{name}"
    for name in (
        "beat", "check_asked", "check_due", "prune", "read_inboxes", "send_account_mail", "send_codes", "send_mail",
        "try_credentials",
    )
)  # fmt: skip


class OwnTasksBroker(ORM):  # type: ignore[misc]  # django-q2 ships no types
    """Drops every task that is not ours, and says so."""

    def dequeue(self) -> list[tuple[Any, Any]] | None:
        """Return the next tasks as `(id, payload)`; None where there is none."""
        taken = super().dequeue()
        if not taken:
            return None
        ours = [(row, payload) for row, payload in taken if self._is_ours(payload)]
        for row in {row for row, _payload in taken} - {row for row, _payload in ours}:
            self.delete(row)
        return ours or None

    @staticmethod
    def _is_ours(payload: Any) -> bool:
        try:
            task = SignedPackage.loads(payload)
        except (TypeError, signing.BadSignature):
            logger.error("a task of the queue that nobody of us signed is dropped")
            return False
        # No task of ours has arguments or calls another function afterwards.
        plain = not any(task.get(name) for name in ("args", "kwargs", "hook", "chain", "sync"))
        if task.get("func") in OWN_TASKS and plain:
            return True
        logger.error("a task of the queue that is none of ours is dropped: %.80r", task.get("func"))
        return False
