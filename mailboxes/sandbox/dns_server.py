"""The sandbox's name server: accounts' hosts, mail domains' MX, and names that fail on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class Zone:
    """A mail domain's records. Without exchangers and address it exists, and nothing can be delivered to it.

    `services` maps "_imaps._tcp" and its kin to host and port.
    """

    exchangers: tuple[str, ...] = ()
    name_servers: tuple[str, ...] = ("ns1.sandbox.test", "ns2.sandbox.test")
    has_address: bool = True
    fault: str = ""
    services: Mapping[str, tuple[str, int]] = field(default_factory=dict)


class DnsServer(asyncio.DatagramProtocol):
    """Answers A, MX and NS over UDP. `zone_of(name)` gives a name's records, or None for a name not ours."""

    def __init__(self, zone_of: Callable[[str], Zone | None]) -> None:
        self._zone_of = zone_of
        self.asked = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(self._answer(dns.message.from_wire(data)).to_wire(), addr)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        service, name = _split(name)
        zone = self._zone_of(name)
        self.asked += 1
        if zone is None or zone.fault:
            answer.set_rcode(dns.rcode.SERVFAIL if zone and zone.fault == "servfail" else dns.rcode.NXDOMAIN)
            return answer
        texts = {
            dns.rdatatype.A: ["127.0.0.1"] if zone.has_address else [],
            dns.rdatatype.MX: [f"{10 * (at + 1)} {host}." for at, host in enumerate(zone.exchangers)],
            dns.rdatatype.NS: [f"{host}." for host in zone.name_servers],
            dns.rdatatype.SRV: [f"0 1 {port} {host}." for host, port in [zone.services[service]]]
            if service in zone.services
            else [],
        }.get(question.rdtype, [])
        if texts:
            answer.answer.append(dns.rrset.from_text_list(question.name, 5, "IN", question.rdtype, texts))
        return answer


def _split(name: str) -> tuple[str, str]:
    """A service's labels and the name that they stand before."""
    labels = name.split(".")
    count = sum(label.startswith("_") for label in labels)
    return ".".join(labels[:count]), ".".join(labels[count:])
