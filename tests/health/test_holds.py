"""Pausing and resuming very many mailboxes at once (CODE-10)."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from mailboxes.health import holds
from mailboxes.models import AuditEntry, Mailbox
from tests.make import make_mailbox

pytestmark = pytest.mark.django_db
MANY = 300_000  # more than any statement takes values


def test_code10_very_many_are_paused_and_resumed() -> None:
    boxes, now = [make_mailbox() for _ in range(3)], timezone.now()
    ids = [*range(10**6, 10**6 + MANY), *(one.pk for one in boxes)]
    assert holds.hold(ids, reason="x", acting_user=None, now=now) == 3
    assert Mailbox.objects.filter(held_since=now).count() == 3
    assert holds.release(ids, acting_user=None, now=now) == 3
    assert AuditEntry.objects.filter(action="resumed").count() == 3


def test_code10_what_was_stopped_in_the_middle_is_done_again_for_the_rest(monkeypatch: Any) -> None:
    boxes, now = [make_mailbox() for _ in range(4)], timezone.now()
    monkeypatch.setattr(holds, "CHUNK", 2)
    holds.hold([boxes[0].pk], reason="first", acting_user=None, now=now)
    assert holds.hold([one.pk for one in boxes], reason="all", acting_user=None, now=now) == 3
    assert set(Mailbox.objects.values_list("hold_reason", flat=True)) == {"first", "all"}
