"""What the queue runs. Thin: no arguments, reload, one function, safe to run twice. The queue is only a bell."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.utils import timezone

from mailboxes import account_mail, clock
from mailboxes.health import alarms, asked, due, retention, tenants, versions
from mailboxes.health.incidents import effects
from mailboxes.health.outgoing import from_settings
from mailboxes.inbox import due as inbox_due
from mailboxes.inbox import rounds
from mailboxes.models import Heartbeat
from mailboxes.outbox import unknown
from mailboxes.ownership import sending
from mailboxes.reconnect import removal, testing

CODES_AT_ONCE = 20


def check_asked() -> int:
    """Run the checks that people asked for. Returns how many."""
    return _drain(lambda: asked.check_asked(settings.CHECK_BATCH, from_settings()))


def try_credentials() -> int:
    """Run the tests of new credentials, and give back the grants of removed mailboxes. Returns how many tests."""
    tried = _drain(lambda: testing.run_trials(settings.CHECK_BATCH, from_settings()))
    if not tried:  # a task must end well before its timeout: not both in one
        removal.revoke_waiting(from_settings())
    return tried


def send_mail() -> int:
    """Choose and send what may go out. Returns how many messages."""
    return _drain(lambda: rounds.send_round(settings.CHECK_BATCH, from_settings()))


def read_inboxes() -> int:
    """Read the inboxes that are due. Returns how many."""
    return _drain(lambda: rounds.read_round(settings.CHECK_BATCH, from_settings()))


def send_account_mail() -> int:
    """Send recovery links and invitations that wait. Returns how many."""
    return _drain(lambda: account_mail.send_waiting(3, timezone.now()))


def send_codes() -> int:
    """Send the codes that confirm addresses, and have the mailboxes that they went to read soon. Returns how many."""
    outgoing = from_settings()

    def batch() -> int:
        sent = sending.send_due(CODES_AT_ONCE, outgoing)
        inbox_due.watch(sent, outgoing.clock())
        return len(sent)

    return _drain(batch)


def check_due() -> int:
    """Check what is due. Returns how many."""
    return due.check_due(settings.CHECK_BATCH, from_settings(), settings.TAKE_FOR_S)


def beat() -> None:
    """Sign of life of the cluster that runs this: its supervisor restarts it when the sign grows old."""
    clock.now.sync()
    now = clock.now()
    Heartbeat.objects.update_or_create(name=settings.Q_CLUSTER["name"], defaults={"at": now})
    versions.note(now)
    alarms.tell_of_clock(settings.Q_CLUSTER["name"], clock.now.offset(), now)
    tenants.revive(now)
    effects.look(now)


def prune() -> None:
    """Drop what is past its time. What nobody knows of is given up last, so that its sender hears of it first."""
    retention.prune(timezone.now())
    unknown.give_up(timezone.now())


def _drain(batch: Callable[[], int]) -> int:
    began, total = time.monotonic(), 0
    while time.monotonic() - began < settings.TAKE_FOR_S:
        done = batch()
        total += done
        if not done:
            break
    return total
