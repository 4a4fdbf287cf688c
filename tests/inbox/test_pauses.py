"""A mailbox whose provider wants a pause of logins is read again afterwards (D1, I4)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mailboxes.health.record import record
from mailboxes.inbox.due import claim_due
from mailboxes.models import InboxState, Mailbox
from mailboxes.wire.values import Leg
from tests.make import START, evidence, make_mailbox

pytestmark = pytest.mark.django_db


def test_d1_a_mailbox_is_read_as_soon_as_the_pause_that_its_provider_wants_is_over() -> None:
    mailbox = make_mailbox()
    record([evidence(mailbox, leg) for leg in (Leg.SMTP, Leg.IMAP)], now=START)
    until = START + timedelta(minutes=30)
    Mailbox.objects.filter(pk=mailbox.pk).update(throttled_until=until)
    InboxState.objects.filter(pk=mailbox.pk).update(next_read_at=START)
    assert claim_due(10, START + timedelta(minutes=1)) == []
    assert claim_due(10, until) == [mailbox.pk]
