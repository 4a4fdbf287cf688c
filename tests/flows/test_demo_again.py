"""The demo, started again on its own database."""

from __future__ import annotations

import pytest

from demo.seed import populate
from mailboxes.health.targets import load
from mailboxes.models import Mailbox
from mailboxes.sandbox.server import Sandbox
from tests.make import START


@pytest.mark.django_db
def test_s7_a_demo_that_is_started_again_may_use_its_secrets_at_the_new_ports() -> None:
    for _time in range(2):
        with Sandbox() as sandbox:
            populate(sandbox, START)
    everybody = set(Mailbox.objects.values_list("pk", flat=True))
    assert {subject.mailbox_id for subject in load(everybody, START)} == everybody
