"""Sessions resumed with hosts met lately, and never so that a bad certificate is hidden (decision 0006)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mailboxes.sandbox.server import Sandbox
from mailboxes.wire import tls
from mailboxes.wire.channel import open_channel
from mailboxes.wire.tls import TlsClient, TlsFault
from tests.wire.talker import Talker

HOST = "mail.example.test"


class Seconds:
    """A clock in seconds that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


def resumed(client: TlsClient, port: int, host: str = HOST) -> bool:
    """Connect, read the greeting, close; whether the session was resumed."""

    async def meet() -> bool:
        channel = await open_channel("127.0.0.1", port)
        try:
            await channel.start_tls(client, host, 5)
            assert await channel.read() == b"220 hi\r\n"
            return channel.resumed
        finally:
            channel.close()

    return asyncio.run(meet())


@contextmanager
def serving(sandbox: Sandbox, context: ssl.SSLContext | None = None, host: str = HOST) -> Iterator[Talker]:
    with Talker(b"220 hi\r\n", tls=context or sandbox.authority.context(host, "")) as talker:
        yield talker


def client(sandbox: Sandbox, resume_for_s: float = 600, clock: Seconds | None = None) -> TlsClient:
    return sandbox.authority.client(resume_for_s, clock or Seconds())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_with_the_same_place_alone(sandbox: Sandbox, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    sandbox.authority.certificate(HOST).configure_cert(context)
    context.maximum_version = version
    ours = client(sandbox)
    with serving(sandbox, context) as one, serving(sandbox, context) as other:
        assert [resumed(ours, one.port) for _ in range(3)] == [False, True, True]
        assert resumed(ours, other.port) is False


def test_nothing_is_resumed_after_its_time(sandbox: Sandbox) -> None:
    clock = Seconds()
    ours = client(sandbox, 600, clock)
    with serving(sandbox) as talker:
        assert [resumed(ours, talker.port) for _ in range(2)] == [False, True]
        clock.now += 599
        assert resumed(ours, talker.port) is True
        clock.now += 1  # resuming has not made it younger
        assert [resumed(ours, talker.port) for _ in range(2)] == [False, True]


def test_nothing_is_resumed_after_the_certificates_end(sandbox: Sandbox) -> None:
    clock = Seconds()
    ours = client(sandbox, 1e12, clock)
    with serving(sandbox) as talker:
        assert [resumed(ours, talker.port) for _ in range(2)] == [False, True]
        clock.now += 2000 * 365 * 86_400  # the sandbox issues for long
        assert resumed(ours, talker.port) is False


def test_a_certificate_that_goes_bad_is_seen_when_the_sessions_time_is_over(sandbox: Sandbox) -> None:
    clock, port = Seconds(), 0
    ours = client(sandbox, 600, clock)
    context = sandbox.authority.context(HOST, "")
    with serving(sandbox, context) as talker:
        port = talker.port
        assert [resumed(ours, port) for _ in range(2)] == [False, True]
        sandbox.authority.certificate(HOST, "expired").configure_cert(context)
        clock.now += 600
        with pytest.raises(TlsFault, match="expired"):
            resumed(ours, port)
    sandbox.authority.context.cache_clear()  # the context is another one now


def test_the_handshakes_time_does_not_bound_what_comes_after_it(sandbox: Sandbox) -> None:
    """A token endpoint may take longer to answer than a handshake may."""

    async def wait(port: int) -> bool:
        channel = await open_channel("127.0.0.1", port)
        await channel.start_tls(client(sandbox), HOST, 0.3)
        try:
            async with asyncio.timeout(0.6) as ours:
                await channel.read()
        except TimeoutError:
            return ours.expired()
        finally:
            channel.close()
        return False

    with Talker(tls=sandbox.authority.context(HOST, "")) as talker:
        assert asyncio.run(wait(talker.port))


def test_with_no_time_at_all_nothing_is_kept(sandbox: Sandbox) -> None:
    ours = client(sandbox, 0)
    with serving(sandbox) as talker:
        assert [resumed(ours, talker.port) for _ in range(2)] == [False, False]


def test_a_server_that_does_not_take_its_session_back_is_offered_none_again(sandbox: Sandbox) -> None:
    ours = client(sandbox)
    contexts = [sandbox.authority.certificate(HOST) for _ in range(3)]
    offered = []
    with serving(sandbox) as talker:
        for certificate in contexts:  # as of a host whose machines share no ticket keys
            talker.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(talker.tls)
            offered.append(ours.begin(HOST, talker.port).offered)
            assert resumed(ours, talker.port) is False
    assert offered == [False, True, False]


def test_a_failed_handshake_is_met_anew(sandbox: Sandbox) -> None:
    ours = client(sandbox)
    with serving(sandbox) as talker:
        assert resumed(ours, talker.port) is False
        assert ours.begin(HOST, talker.port).offered
        talker.tls = None
        with pytest.raises(TlsFault):
            resumed(ours, talker.port)
        assert not ours.begin(HOST, talker.port).offered


def test_the_oldest_session_makes_room(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "MOST_KEPT", 2)
    ours = client(sandbox)
    with serving(sandbox) as one, serving(sandbox) as two, serving(sandbox) as three:
        ports = [one.port, two.port, three.port]
        assert [resumed(ours, port) for port in ports] == [False] * 3
        assert [ours.begin(HOST, port).offered for port in ports] == [False, True, True]
