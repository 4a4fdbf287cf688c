"""A fault of our own is a failed step and a trace in the log, with nobody's words in either (SRV-4, CODE-9)."""

from __future__ import annotations

import asyncio
import base64
import logging
import time

import pytest

from mailboxes.sandbox.server import CLIENT, Sandbox
from mailboxes.wire import faults, sasl, strange_json, tokens
from mailboxes.wire.conversation import attempt
from mailboxes.wire.faults import log_fault
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.runner import Bounds, Job, Pool, check
from mailboxes.wire.values import Endpoint, Leg, LegTarget, Login, SecretKind, Security, Stage, Target
from tests.make import FAST, secret
from tests.wire.talker import HOST, Talker, reach

DEEP = base64.b64encode(b"[" * 9000)


def stumble(text: str, depth: int = 3) -> None:
    if depth:
        stumble(text, depth - 1)
    raise KeyError(text)


def test_code9_a_trace_has_places_and_types_and_no_words(caplog: pytest.LogCaptureFixture) -> None:
    hidden = secret()
    try:
        try:
            stumble(hidden)
        except KeyError as error:
            raise ValueError(hidden) from error
    except ValueError as error:
        log_fault(logging.getLogger("x"), error, "%s failed", "this")
    [line] = caplog.messages
    assert line.startswith("this failed: ValueError\n")
    assert line.count("in stumble") == 4
    assert "tests.wire.test_our_faults:" in line
    assert "KeyError" in line
    assert hidden not in line


def test_code9_a_recursions_trace_is_short(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KeyError) as caught:
        stumble("x", 700)
    log_fault(logging.getLogger("x"), caught.value, "it failed")
    assert len(caplog.messages[0].splitlines()) < 40


@pytest.mark.parametrize("stage", [None, Stage.AUTH, Stage.DATA])
def test_srv4_an_exception_inside_an_attempt_is_a_failed_step(
    stage: Stage | None, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = secret()
    wanted = LegTarget(Endpoint("mail.example.test", 465, Security.SSL), Login("me", hidden))

    async def talk(recorder: Recorder) -> None:
        if stage is not None:
            recorder.enter(stage)
        stumble(f"{hidden} and other words")

    async def run() -> Recorder:
        return await attempt(Leg.SMTP, wanted, asyncio.get_running_loop().time() + 5, talk)

    step = asyncio.run(run()).report().failed
    assert step is not None
    assert (step.stage, step.code) == (stage or Stage.CONNECT, faults.CODE)
    assert "KeyError at tests.wire.test_our_faults:" in step.text
    assert "other words" not in step.text + caplog.text
    assert "in stumble" in caplog.text


def test_srv4_an_exception_inside_a_refresh_is_a_failed_step(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = secret()

    def broken(*_values: object) -> None:
        raise KeyError(hidden)

    monkeypatch.setattr(tokens, "urlencode", broken)
    client = tokens.OAuthClient(sandbox.token_url, CLIENT[0], CLIENT[1])
    found = asyncio.run(tokens.refresh(client, hidden, sandbox.connector(FAST)))
    assert found.report.failed is not None and found.report.failed.code == faults.CODE
    assert hidden not in str(found) + caplog.text
    assert "in broken" in caplog.text


def test_code9_a_job_that_raises_leaves_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> int:
        stumble("words of a stranger")
        return 1

    with Pool[int, int](Bounds()) as pool:
        pool.add(Job(1, "host", work))
        assert list(pool.results()) == []
    assert "in stumble" in caplog.text
    assert "stranger" not in caplog.text


@pytest.mark.parametrize("raw", [b"[" * 9000, b'{"a":' * 9000, b'{"a": 1}' + b" " * 70_000, b"7", b"{", b"\xff"])
def test_srv4_strange_json_is_nothing_and_never_an_exception(raw: bytes) -> None:
    assert strange_json.read_object(raw) == {}


def test_srv4_usual_json_is_read() -> None:
    assert strange_json.read_object(b'{"status": "400", "more": [[{"a": {}}]]}')["status"] == "400"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("imap", (b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] hi\r\n", b"+ %b\r\n" % DEEP, b"A1 NO no\r\n")),
        ("smtp", (b"220 hi\r\n", b"250-x\r\n250 AUTH XOAUTH2\r\n", b"334 %b\r\n" % DEEP, b"535 5.7.8 no\r\n")),
    ],
)
def test_srv4_a_challenge_of_any_depth_is_judged_by_its_refusal(
    sandbox: Sandbox, name: str, said: tuple[bytes, ...]
) -> None:
    with Talker(*said, tls=sandbox.authority.context(HOST, "")) as talker:
        connector, place = reach(sandbox, talker, FAST, Security.SSL)
        wanted = LegTarget(place, Login("me@example.test", secret(), SecretKind.ACCESS_TOKEN))
        target = Target(wanted, None) if name == "smtp" else Target(None, wanted)
        began = time.monotonic()
        [report] = asyncio.run(check(target, connector))
    assert report.failed is not None and report.failed.stage is Stage.AUTH
    assert report.failed.code in ("535 5.7.8", "NO")
    assert time.monotonic() - began < FAST.command_s


def test_srv4_a_usual_challenge_is_still_explained() -> None:
    challenge = base64.b64encode(b'{"status":"400","schemes":"Bearer","scope":"mail"}').decode()
    assert sasl.explain_challenge(challenge) == "status=400; schemes=Bearer; scope=mail"
