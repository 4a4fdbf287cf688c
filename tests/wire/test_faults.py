"""Every fault of the sandbox over real sockets: where the leg ends, and that the diagnosis reads it."""

from __future__ import annotations

import asyncio
import time

import pytest

from mailboxes.diagnosis.engine import engine
from mailboxes.diagnosis.values import Reply
from mailboxes.providers.presets import family
from mailboxes.sandbox.faults import NO_FAULT, Fault, LegFault, faults
from mailboxes.sandbox.server import Sandbox
from mailboxes.wire.addresses import AddressPolicy
from mailboxes.wire.connector import Connector
from mailboxes.wire.runner import HEAD_START_S, Bounds, Job, check
from mailboxes.wire.values import (
    LegTarget,
    Letter,
    Limits,
    Login,
    Report,
    SecretKind,
    Security,
    Stage,
    Target,
)
from tests.make import FAST, make_account
from tests.pool import stream
from tests.secrets import leaks

AT_THE_TOKEN = [fault for fault in faults().values() if fault.token]
AT_THE_SERVERS = [fault for fault in faults().values() if not fault.token]


def target(sandbox: Sandbox, fault: Fault, *, message: bool = False) -> Target:
    account = make_account(sandbox, fault)
    assert account.smtp and account.imap
    login = Login(account.address, account.password)
    if "oauth" in fault.needs:
        account.access_tokens.add(account.password)
        login = Login(account.address, account.password, SecretKind.ACCESS_TOKEN)
    mid = f"<{account.slug}@test>"
    body = f"Message-ID: {mid}\r\nTo: {account.address}\r\nFrom: {account.address}\r\n\r\nhi\r\n".encode()
    own = Letter(account.address, account.address, mid, body) if message or fault.message else None
    return Target(LegTarget(account.smtp, login), LegTarget(account.imap, login), message=own)


def run(sandbox: Sandbox, wanted: Target, limits: Limits = FAST) -> dict[str, Report]:
    reports = asyncio.run(check(wanted, sandbox.connector(limits)))
    return {report.leg.value: report for report in reports}


@pytest.mark.parametrize("security", list(Security))
def test_a_healthy_account_passes_every_stage(sandbox: Sandbox, security: Security) -> None:
    account = make_account(sandbox, security=security)
    assert account.smtp and account.imap
    login = Login(account.address, account.password)
    legs = run(sandbox, Target(LegTarget(account.smtp, login), LegTarget(account.imap, login)))
    assert {leg: report.ok for leg, report in legs.items()} == {"smtp": True, "imap": True}
    assert Stage.TLS in {step.stage for step in legs["smtp"].steps}


def test_a_test_message_is_sent_and_found_again(sandbox: Sandbox) -> None:
    legs = run(sandbox, target(sandbox, NO_FAULT, message=True))
    assert [step.stage for step in legs["smtp"].steps][-3:] == [Stage.MAIL, Stage.RCPT, Stage.DATA]
    assert legs["imap"].steps[-1].stage is Stage.READ
    assert legs["imap"].ok


@pytest.mark.parametrize("fault", AT_THE_SERVERS, ids=lambda fault: fault.id)
def test_d1_a_fault_is_seen_and_read(sandbox: Sandbox, fault: Fault) -> None:
    legs = run(sandbox, target(sandbox, fault))
    failed = [(report.leg, report.failed) for report in legs.values() if report.failed]
    assert failed, "the fault was not seen"
    leg, step = failed[0]
    assert step is not None
    found = engine().diagnose(Reply(step.text, leg, step.stage, family(fault.provider), step.code))
    by_cross_check = fault.id == "smtp-alone-refuses"  # two legs together decide there (X3)
    assert by_cross_check or found.category == fault.expect["category"]


def test_s1_no_step_repeats_the_password(sandbox: Sandbox) -> None:
    wanted = target(sandbox, faults()["wrong-password"])
    assert wanted.smtp is not None
    account = sandbox.accounts[wanted.smtp.login.username]
    echo = Fault("echo", "The server repeats the password", smtp=faults()["wrong-password"].smtp)
    sandbox.set_fault(account.address, echo)
    account.fault = Fault("echo", "", smtp=type(echo.smtp)(auth=f"535 5.7.8 {account.password} is wrong"))
    legs = run(sandbox, wanted)
    assert legs["smtp"].failed is not None
    assert leaks(str(legs)) == []


def test_s2_a_name_that_resolves_to_a_private_address_makes_no_connection(sandbox: Sandbox) -> None:
    wanted = target(sandbox, NO_FAULT)
    assert wanted.smtp is not None
    before = sandbox.accounts[wanted.smtp.login.username].seen["smtp connections"]
    strict = sandbox.connector(FAST)
    closed = Connector(
        resolver=strict.resolver, policy=AddressPolicy(allowed_ports=sandbox.ports), tls=strict.tls, limits=FAST
    )
    (report, _imap) = asyncio.run(check(wanted, closed))
    assert report.failed is not None and "not a public address" in report.failed.text
    assert sandbox.accounts[wanted.smtp.login.username].seen["smtp connections"] == before


def test_one_deadline_ends_a_server_that_never_answers(sandbox: Sandbox) -> None:
    limits = Limits(dns_s=2, connect_s=1, command_s=5, total_s=1.0)
    legs = run(sandbox, target(sandbox, faults()["never-answers"]), limits)
    assert legs["imap"].failed is not None and legs["imap"].failed.code == "ETIMEDOUT"
    assert legs["imap"].duration_ms < 3000


def test_x3_a_server_that_hangs_does_not_keep_the_other_leg_waiting(sandbox: Sandbox) -> None:
    wanted = target(sandbox, NO_FAULT)
    hung = target(sandbox, Fault("hangs", "", smtp=LegFault(connect="silent")))
    limits = Limits(dns_s=2, connect_s=5, command_s=5, total_s=5.0)
    legs = run(sandbox, Target(hung.smtp, wanted.imap), limits)
    assert legs["smtp"].failed is not None and legs["smtp"].failed.code == "ETIMEDOUT"
    assert legs["imap"].ok and HEAD_START_S * 1000 <= legs["imap"].ended_ms < 4500


def test_x3_a_password_that_smtp_refuses_is_tried_on_imap_afterwards(sandbox: Sandbox) -> None:
    began: list[int] = []
    wanted = target(sandbox, faults()["wrong-password"])
    assert wanted.smtp and wanted.imap
    asyncio.run(check(wanted, sandbox.connector(FAST, on_connect=lambda _address, port: began.append(port))))
    assert began == [wanted.smtp.endpoint.port, wanted.imap.endpoint.port]


def test_a_job_that_raises_spoils_no_other() -> None:
    async def good() -> str:
        return "fine"

    async def bad() -> str:
        raise RuntimeError("ours")

    jobs = [Job("a", "h", good), Job("b", "h", bad), Job("c", "h", good)]
    assert sorted(stream(jobs, Bounds())) == [("a", "fine"), ("c", "fine")]


def test_a_host_takes_no_more_than_its_share_at_once() -> None:
    under_way, most = 0, 0

    async def work() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    list(stream([Job(number, "one-host", work) for number in range(50)], Bounds(total=50, per_host=3)))
    assert most == 3


def test_behind_a_host_that_hangs_what_cannot_begin_in_time_is_left_out() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.3)
        return "done"

    jobs = [Job(number, "hangs", slow) for number in range(6)]
    done = list(stream(jobs, Bounds(per_host=2), start_by=time.monotonic() + 0.2))
    assert len(done) == 2


def test_faults_at_the_token_endpoint_are_known() -> None:
    assert {fault.id for fault in AT_THE_TOKEN} == {"grant-revoked", "client-secret-expired", "token-endpoint-503"}
