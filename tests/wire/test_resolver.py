"""Names to addresses, by a name server of our own (SPEC H15)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mailboxes.wire.resolver import DnsResolver, NameFault

Answers = dict[str, dns.rcode.Rcode | str | None]


class NameServer:
    """Answers A and AAAA as it is told: an address, an error, or nothing."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                data, client = self.socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            kind = dns.rdatatype.to_text(query.question[0].rdtype)
            answer, told = dns.message.make_response(query), self.answers[kind]
            if told is None:
                continue
            if isinstance(told, str):
                if told:
                    answer.answer.append(dns.rrset.from_text(query.question[0].name, 5, "IN", kind, told))
            else:
                answer.set_rcode(told)
            self.socket.sendto(answer.to_wire(), client)


@pytest.fixture
def server() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.socket.close()


def look_up(server: NameServer, **answers: dns.rcode.Rcode | str | None) -> list[str]:
    server.answers = dict(answers)
    resolver = DnsResolver(server.socket.getsockname(), lifetime_s=1.0)
    return asyncio.run(resolver.addresses("mail.example.test"))


@pytest.mark.parametrize("other", [dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN, "", None])
def test_h15_one_family_is_enough(server: NameServer, other: dns.rcode.Rcode | str | None) -> None:
    assert look_up(server, A="192.0.2.1", AAAA=other) == ["192.0.2.1"]
    assert look_up(server, A=other, AAAA="2001:db8::1") == ["2001:db8::1"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [(dns.rcode.NXDOMAIN, "NXDOMAIN"), (dns.rcode.SERVFAIL, "EAI_AGAIN"), ("", "NODATA"), (None, "EAI_AGAIN")],
)
def test_h15_a_name_without_an_address_is_told_by_the_a_query(
    server: NameServer, answer: dns.rcode.Rcode | str | None, code: str
) -> None:
    with pytest.raises(NameFault) as caught:
        look_up(server, A=answer, AAAA=answer)
    assert caught.value.code == code
