"""The address battery (SPEC S2; FACTS D1 to D4)."""

from __future__ import annotations

import ipaddress

import pytest

from mailboxes.wire.addresses import AddressPolicy, Refused, normal_host

PRIVATE = [
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.100.100.200", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "240.0.0.1",
    "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1:0:0:80ff:fffe",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_s2_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="not a public address"):
        AddressPolicy().check_address(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "142.250.1.109", "2a00:1450:4001::6d", "::ffff:8.8.8.8"])
def test_s2_a_public_address_is_allowed(address: str) -> None:
    assert str(AddressPolicy().check_address(address)) in (address, str(ipaddress.ip_address(address)))


@pytest.mark.parametrize("port", [0, 22, 25, 80, 110, 443, 995, 3306, 65535])
def test_s2_a_port_that_is_not_for_mail_is_refused(port: int) -> None:
    with pytest.raises(Refused, match="use one of 143, 465, 587, 993, 2525"):
        AddressPolicy().check_port(port)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "[::1]", "::1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "",
        "user@smtp.example.com", "smtp.example.com:25", "smtp.example.com.", "smtp..example.com", "-a.example.com",
        "smtp.example.com/x", "smtp example.com", "smtp.example.com\r\nQUIT", "a" * 64 + ".example.com",
        "a." * 130 + "com",
    ],
)  # fmt: skip
def test_s2_a_host_that_is_no_plain_name_is_refused(host: str) -> None:
    with pytest.raises(Refused):
        normal_host(host)


def test_s2_an_international_name_becomes_ascii() -> None:
    assert normal_host("Smtp.Bücher.example") == "smtp.xn--bcher-kva.example"


def test_s2_a_private_network_opens_only_on_purpose() -> None:
    policy = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),), allowed_ports=frozenset({2025}))
    policy.check_port(2025)
    policy.check_address("127.0.0.1")
    with pytest.raises(Refused):
        policy.check_address("10.0.0.1")
