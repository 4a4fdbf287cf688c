"""kill -9 in the middle of a batch, 20 times by a seed: all is checked in the end, nothing is doubled (SPEC H8, O2)."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from mailboxes.models import Failure, Mailbox, StatusChange
from mailboxes.sandbox.faults import NO_FAULT, faults
from mailboxes.sandbox.server import Sandbox
from tests.make import make_sandbox_mailbox, make_workspace

KILLS = 20
SIZE = 36


def order(sandbox: Sandbox, folder: Path, minutes: int) -> str:
    ca_file = folder / "ca.pem"
    sandbox.authority.write(ca_file)
    return json.dumps(
        {
            "database": connection.settings_dict["NAME"], "ca_file": str(ca_file), "dns_port": sandbox.dns_port,
            "ports": sorted(sandbox.ports), "minutes": minutes,
        }
    )  # fmt: skip


def start(sandbox: Sandbox, folder: Path, minutes: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.worker.child", order(sandbox, folder, minutes)],
        cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.xdist_group("processes")
@pytest.mark.django_db(transaction=True)
def test_h8_a_worker_killed_20_times_loses_and_doubles_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    dice = random.Random(20261120)
    workspace = make_workspace()
    kinds = [NO_FAULT, NO_FAULT, faults()["wrong-password"], faults()["folder-missing"]]
    made = [make_sandbox_mailbox(sandbox, kinds[number % 4], workspace=workspace) for number in range(SIZE)]
    killed = 0
    for round_number in range(KILLS):
        worker = start(sandbox, tmp_path, minutes=4 * round_number)  # the leases of the killed are over by then
        assert worker.stdout is not None and worker.stdout.readline() == "begun\n"
        threading.Event().wait(dice.uniform(0.0, 0.25))
        killed += worker.poll() is None
        worker.kill()
        worker.wait()
    assert killed >= KILLS / 2, "most were to be killed at work"
    last = start(sandbox, tmp_path, minutes=4 * KILLS)
    assert last.communicate(timeout=60)[0].endswith("done\n")
    _all_checked_and_chained([mailbox.pk for mailbox, _account in made])


def _all_checked_and_chained(ids: list[int]) -> None:
    rows = Mailbox.objects.filter(pk__in=ids)
    assert rows.filter(status="unverified").count() == 0
    for mailbox in rows:
        changes = list(StatusChange.objects.filter(mailbox=mailbox).order_by("number"))
        assert [change.number for change in changes] == list(range(1, mailbox.state_version + 1))
        steps = [("unverified", ""), *((change.to_status, change.to_reason) for change in changes)]
        assert [(change.from_status, change.from_reason) for change in changes] == steps[:-1]
        assert steps[-1] == (mailbox.status, mailbox.pause_reason)
        seen = Failure.objects.filter(mailbox=mailbox).values_list("leg", "begun_at")
        assert len(seen) == len(set(seen))
