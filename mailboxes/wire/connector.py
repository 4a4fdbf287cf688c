"""The one way out: judge the port, resolve, judge every address, connect to that address, verify TLS (SPEC S2)."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from mailboxes.wire.addresses import AddressPolicy, Refused, normal_host
from mailboxes.wire.channel import Channel, open_channel
from mailboxes.wire.recorder import Recorder
from mailboxes.wire.resolver import NameFault, Resolver
from mailboxes.wire.tls import TlsClient, TlsFault, tls_client
from mailboxes.wire.values import Endpoint, Limits, Security, Stage


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
                await self.upgrade(channel, endpoint.host, recorder)
            except BaseException:
                channel.close()
                raise
        return channel

    async def upgrade(self, channel: Channel, host: str, recorder: Recorder) -> None:
        """Encrypt the channel. Bytes that came before the handshake are refused (FACTS D7). Raises WireFault."""
        recorder.enter(Stage.TLS)
        if channel.unread:
            raise recorder.fault("PLAINTEXT_BEFORE_TLS", b"the server spoke before TLS: " + await channel.read())
        try:
            await channel.start_tls(self.tls, normal_host(host), self.limits.connect_s)
        except TlsFault as fault:
            raise recorder.fault(fault.code, str(fault)) from None
        except (TimeoutError, OSError) as error:
            raise recorder.fault(*local_fault(error, "the TLS handshake")) from None

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


def local_fault(error: BaseException, what: str) -> tuple[str, str]:
    """Name a fault that no server spoke: the errno's name and plain words."""
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        name = errno.errorcode[number]
        return name, f"[{name}] {_WORDS.get(name, 'network error')}"
    if isinstance(error, TimeoutError):
        return "ETIMEDOUT", f"{what} timed out"
    return "ECONNRESET", f"{what} was closed by the server"


_WORDS = {
    "ECONNREFUSED": "Connection refused",
    "ENETUNREACH": "Network is unreachable",
    "EHOSTUNREACH": "No route to host",
    "ETIMEDOUT": "Connection timed out",
    "ECONNRESET": "Connection reset by peer",
    "EPIPE": "Connection reset by peer",
}
