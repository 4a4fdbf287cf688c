"""200 messages sent and 200 received while workers, connections and the database are cut 50 times (K4, I1)."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from campaigns.models import Lead
from mailboxes.models import Failure, InMessage, OutMessage
from mailboxes.sandbox.account import Account
from mailboxes.sandbox.server import Sandbox
from mailboxes.states import Source
from tests.make import make_workspace
from tests.post import arrived, make_campaign, make_people, make_workers, run
from tests.sandbox.clients import letter

CUTS = 50
MESSAGES = 200
MAILBOXES = 20
WORKERS = 3
SPEED = 60
MOST_S = 150
UNKNOWN_AT_MOST = 0.02


class Workers:
    """Processes that check, read and send, to be killed and begun again."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        ca_file = folder / "ca.pem"
        sandbox.authority.write(ca_file)
        self._order = json.dumps(
            {
                "database": connection.settings_dict["NAME"], "ca_file": str(ca_file), "dns_port": sandbox.dns_port,
                "ports": sorted(sandbox.ports), "from": timezone.now().isoformat(), "speed": SPEED, "seconds": MOST_S,
            }
        )  # fmt: skip
        self.running = [self._start() for _number in range(WORKERS)]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.worker.mail_child", self._order]
        return subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, at: int) -> None:
        self.running[at].kill()
        self.running[at].wait()
        self.running[at] = self._start()

    def stop(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


def cut_connections(sandbox: Sandbox, dice: random.Random) -> None:
    """Half of the mail connections that are open; waits a little for some."""
    until = time.monotonic() + 1.0
    while not sandbox.cut(0.5, dice) and time.monotonic() < until:
        threading.Event().wait(0.002)


def cut_database() -> None:
    """End every other connection to this database, as a restarted server does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )


@pytest.mark.xdist_group("processes")
@pytest.mark.django_db(transaction=True)
def test_k4_i1_fifty_cuts_lose_nothing_and_double_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    dice = random.Random(20261121)
    team = make_workers(sandbox, MAILBOXES, make_workspace())
    people = make_people(sandbox, MESSAGES)
    campaign = make_campaign([mailbox for mailbox, _account in team], people, steps=1, move_after_days=None)
    run(campaign, timezone.now())
    workers = Workers(sandbox, tmp_path)
    try:
        written = _cut_and_write(sandbox, workers, [account for _mailbox, account in team], dice)
        _wait(lambda: not _left(campaign.pk) and InMessage.objects.filter(message_id__in=written).count() >= MESSAGES)
    finally:
        workers.stop()
    hit = Failure.objects.filter(source__in=(Source.CAMPAIGN_SEND, Source.INBOX_READ))
    assert hit.filter(source=Source.CAMPAIGN_SEND).exists() and hit.filter(source=Source.INBOX_READ).exists()
    _sent_once(sandbox, people, campaign.pk)
    stored = Counter(InMessage.objects.filter(message_id__in=written).values_list("message_id", flat=True))
    assert stored == Counter(written)


def _cut_and_write(sandbox: Sandbox, workers: Workers, accounts: list[Account], dice: random.Random) -> list[str]:
    """The cuts, with the messages that arrive meanwhile between them."""
    cuts: list[Callable[[], object]] = [
        lambda: workers.kill(dice.randrange(WORKERS)),
        lambda: cut_connections(sandbox, dice),
        cut_database if connection.vendor == "postgresql" else lambda: workers.kill(dice.randrange(WORKERS)),
    ]
    written: list[str] = []
    for number in range(CUTS):
        threading.Event().wait(dice.uniform(0.1, 0.6))
        for _message in range(MESSAGES // CUTS):
            written.append(f"<chaos-{len(written)}@elsewhere.test>")
            dice.choice(accounts).deliver(letter("someone@elsewhere.test", "us@here.test", written[-1]).as_bytes())
        cuts[number % len(cuts)]()
    return written


def _left(campaign_id: int) -> bool:
    """True while somebody has not been written to, and it is not known why."""
    waiting = Lead.objects.filter(campaign=campaign_id, state__in=(Lead.State.NEW, Lead.State.ACTIVE))
    return waiting.exclude(messages__out__state=OutMessage.State.UNKNOWN).exists() or _unknown() > UNKNOWN_AT_MOST


def _unknown() -> float:
    return OutMessage.objects.filter(state=OutMessage.State.UNKNOWN).count() / MESSAGES


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + MOST_S
    while not holds() and time.monotonic() < until:
        threading.Event().wait(0.5)


def _sent_once(sandbox: Sandbox, people: list[str], campaign_id: int) -> None:
    counts = {email: sum(arrived(sandbox, [email]).values()) for email in people}
    assert max(counts.values()) == 1, "nobody got it twice"
    unknown = set(OutMessage.objects.filter(state=OutMessage.State.UNKNOWN).values_list("recipient", flat=True))
    missing = {email for email, amount in counts.items() if not amount}
    assert missing <= unknown, "whoever got nothing is told as unknown"
    assert len(unknown) <= UNKNOWN_AT_MOST * MESSAGES
    finished = Lead.objects.filter(campaign=campaign_id, state=Lead.State.FINISHED).count()
    assert finished + len(unknown) == MESSAGES
