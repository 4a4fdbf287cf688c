"""The sandbox's name server: accounts' hosts, mail domains' MX, and names that fail on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer(asyncio.DatagramProtocol):
    """Answers A and MX over UDP. `fault_of(name)` says "", nxdomain or servfail, or None for a name not ours."""

    def __init__(self, fault_of: Callable[[str], str | None]) -> None:
        self._fault_of = fault_of
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
        fault = self._fault_of(name)
        if fault == "servfail":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif fault or fault is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(question.name, 5, "IN", "A", "127.0.0.1"))
        elif question.rdtype == dns.rdatatype.MX:
            answer.answer.append(dns.rrset.from_text(question.name, 5, "IN", "MX", f"10 mx.{name}."))
        return answer
