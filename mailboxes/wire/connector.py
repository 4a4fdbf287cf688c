"""The one way out: judge the port, resolve, judge every address, connect to that address, verify TLS (SPEC S2)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from mailboxes.wire import plain_text
from mailboxes.wire.addresses import AddressPolicy, Refused, normal_host
from mailboxes.wire.channel import Channel, open_channel
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.resolver import NameFault, Resolver
from mailboxes.wire.tls import TlsClient, TlsFault, tls_client
from mailboxes.wire.values import Endpoint, Limits, Security, Stage, WireFault

# Of the time for a connection: the first bytes of a handshake come at once, and the other leg waits meanwhile.
PROBE_SHARE = 0.1


@dataclass(frozen=True)
class Connector:
    """Opens every outgoing connection of Postmend. `on_connect` is told each address before the packet leaves."""

    resolver: Resolver
    policy: AddressPolicy = field(default_factory=AddressPolicy)
    tls: TlsClient = field(default_factory=tls_client, repr=False)
    limits: Limits = field(default_factory=Limits)
    on_connect: Callable[[str, int], None] | None = None
    ehlo_name: str = "[127.0.0.1]"  # an address literal, as RFC 5321 4.1.4 wants it of a host without a public name

    async def open(self, endpoint: Endpoint, recorder: Recorder) -> Channel:
        """Return a channel to the endpoint, encrypted already for implicit TLS. Raises WireFault."""
        addresses = await self._addresses(endpoint, recorder)
        channel = await self._connect(addresses, endpoint.port, recorder)
        if endpoint.security is Security.SSL:
            try:
                await self.upgrade(channel, endpoint.host, recorder, at_once=True)
            except BaseException:
                channel.close()
                raise
        return channel

    async def upgrade(self, channel: Channel, host: str, recorder: Recorder, *, at_once: bool = False) -> None:
        """Encrypt the channel; `at_once` for implicit TLS. Bytes that came before the handshake are refused (FACTS D7).
        Raises WireFault."""
        recorder.enter(Stage.TLS)
        if channel.unread:
            raise _spoke_before(await channel.read(), recorder, at_once=at_once)
        try:
            await channel.start_tls(self.tls, normal_host(host), self.limits.connect_s)
        except (TlsFault, OSError) as error:
            raise _no_handshake(error, channel.shown, recorder, at_once=at_once) from None

    async def expects_tls(self, channel: Channel, host: str) -> bool:
        """Whether a silent server waits for a handshake: its port is one for implicit TLS. The channel is of no more
        use afterwards."""
        if not channel.is_silent or channel.is_secured:
            return False
        with contextlib.suppress(TlsFault, OSError):  # whatever its certificate is: it spoke TLS, or it did not
            await channel.start_tls(self.tls, normal_host(host), PROBE_SHARE * self.limits.connect_s)
        return plain_text.is_tls(channel.shown)

    async def _addresses(self, endpoint: Endpoint, recorder: Recorder) -> list[str]:
        recorder.enter(Stage.DNS)
        try:
            host = normal_host(endpoint.host)
            self.policy.check_port(endpoint.port)
            async with asyncio.timeout(self.limits.dns_s):
                found = await self.resolver.addresses(host)
            return [str(self.policy.check_address(address)) for address in found]
        except Refused as refusal:
            raise recorder.fault("REFUSED_BY_POLICY", str(refusal)) from None
        except NameFault as fault:
            raise recorder.fault(fault.code, fault.text) from None
        except TimeoutError:
            raise recorder.fault("EAI_AGAIN", "the name server did not answer in time") from None

    async def _connect(self, addresses: list[str], port: int, recorder: Recorder) -> Channel:
        recorder.enter(Stage.CONNECT)
        error: Exception = TimeoutError()
        share_s = self.limits.connect_s / len(addresses)
        for address in addresses:
            if self.on_connect is not None:
                self.on_connect(address, port)
            try:
                async with asyncio.timeout(share_s):
                    return await open_channel(address, port)
            except OSError as failed:
                error = failed
        raise recorder.fault(*local_fault(error, "the connection")) from None


def _spoke_before(raw: bytes, recorder: Recorder, *, at_once: bool) -> WireFault:
    """The fault of a server that spoke before the handshake. After STARTTLS that may be an attack (RFC 3207 6)."""
    words = plain_text.words_in(raw) if at_once else b""
    return _plain(words, recorder) if words else recorder.fault("PLAINTEXT_BEFORE_TLS", b"bytes before TLS: " + raw)


def _plain(words: bytes, recorder: Recorder) -> WireFault:
    """The fault of a server that speaks plain text on a port for TLS: its refusal, or the wrong setting."""
    if code := plain_text.refusal_in(words, recorder.leg):
        recorder.turn_into(Stage.GREETING)
        return recorder.fault(code, words + b"\n(It was said in plain text, where TLS was expected at once.)")
    return recorder.fault(plain_text.CODE, plain_text.explained(words))


def _no_handshake(error: TlsFault | OSError, shown: bytes, recorder: Recorder, *, at_once: bool) -> WireFault:
    """The fault behind a handshake that failed."""
    if words := plain_text.words_in(shown):
        return (
            _plain(words, recorder) if at_once else recorder.fault("PLAINTEXT_BEFORE_TLS", b"instead of TLS: " + words)
        )
    is_closed = isinstance(error, ConnectionError) or (isinstance(error, TlsFault) and error.code == "SSL_ERROR")
    if is_closed and not at_once and not shown:
        return recorder.fault("STARTTLS_CLOSED", _CLOSED)
    if isinstance(error, TlsFault):
        return recorder.fault(error.code, str(error))
    return recorder.fault(*local_fault(error, "the TLS handshake"))


def local_fault(error: BaseException, what: str) -> tuple[str, str]:
    """Name a fault that no server spoke: the errno's name and plain words."""
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        name = errno.errorcode[number]
        return name, f"[{name}] {_WORDS.get(name, 'network error')}"
    if isinstance(error, TimeoutError):
        return "ETIMEDOUT", f"{what} timed out"
    return "ECONNRESET", f"{what} was closed by the server"


_CLOSED = "The server agreed to STARTTLS and closed the connection before the handshake: its TLS does not work."
_WORDS = {
    "ECONNREFUSED": "Connection refused",
    "ENETUNREACH": "Network is unreachable",
    "EHOSTUNREACH": "No route to host",
    "ETIMEDOUT": "Connection timed out",
    "ECONNRESET": "Connection reset by peer",
    "EPIPE": "Connection reset by peer",
}
