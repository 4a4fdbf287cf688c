"""Everything that moves a mailbox, at the same time, from many workers: no deadlock, one chain of changes (SPEC H8)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connections

from mailboxes.health import asked, holds
from mailboxes.health.record import record
from mailboxes.health.renewed import Busy
from mailboxes.models import Mailbox, StatusChange
from mailboxes.reconnect import removal
from mailboxes.reconnect.credentials import Password, replace
from mailboxes.reconnect.requests import ask_to_reconnect
from mailboxes.reconnect.settings import save
from mailboxes.wire.values import Leg
from tests.make import IMAP_REFUSED, REFUSED, START, evidence, make_mailbox, make_member, make_workspace, secret

WORKERS, DEEDS = 6, 25


@pytest.mark.django_db(transaction=True)
def test_h8_replacing_checking_pausing_and_removing_at_once_ends_in_order() -> None:
    workspace = make_workspace()
    user = make_member(workspace)
    ids = [make_mailbox(workspace=workspace).pk for _ in range(3)]
    together = threading.Barrier(WORKERS)

    def deeds(dice: random.Random) -> list[Callable[[], object]]:
        mailbox = Mailbox.objects.select_related("credential").get(pk=dice.choice(ids))
        at = START + timedelta(seconds=dice.randrange(10_000))
        both = [evidence(one, leg, at=at) for one in Mailbox.objects.filter(pk__in=ids) for leg in (Leg.SMTP, Leg.IMAP)]
        return [
            lambda: replace(mailbox, Password(secret()), acting_user=None, now=at),
            lambda: record(both, now=at),
            lambda: record(
                [evidence(mailbox, Leg.SMTP, REFUSED, at=at), evidence(mailbox, Leg.IMAP, IMAP_REFUSED, at=at)], now=at
            ),
            lambda: save(mailbox, changed=["smtp_username"], credential=None, acting_user=None, now=at),
            lambda: save(mailbox, changed=[], credential=Password(secret()), acting_user=None, now=at),
            lambda: holds.hold(ids, reason="x", acting_user=None, now=at),
            lambda: holds.release(ids, acting_user=None, now=at),
            lambda: asked.ask(ids, acting_user=None, now=at),
            lambda: ask_to_reconnect(mailbox, note="", acting_user=user, now=at),
        ]

    def work(seed: int) -> int:
        dice = random.Random(seed)
        try:
            together.wait(timeout=30)
            for _ in range(DEEDS):
                try:
                    dice.choice(deeds(dice))()
                except Busy:
                    continue  # said to the person, who presses again
            return seed
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as pool:
        assert list(pool.map(work, range(WORKERS))) == list(range(WORKERS))
    removal.remove(Mailbox.objects.get(pk=ids[0]), acting_user=user, now=START + timedelta(days=1))
    for pk in ids:
        changes = list(StatusChange.objects.filter(mailbox=pk).order_by("number"))
        assert [change.number for change in changes] == list(range(1, len(changes) + 1))
        assert all(before.to_status == after.from_status for before, after in pairwise(changes))
        assert not changes or changes[-1].to_status == Mailbox.objects.get(pk=pk).status
