"""What the address policy lets through (SPEC S2); what it refuses is tried through the connector, in test_attacks."""

from __future__ import annotations

import ipaddress

import pytest

from mailboxes.wire.addresses import AddressPolicy, Refused, normal_host


@pytest.mark.parametrize("address", ["8.8.8.8", "142.250.1.109", "2a00:1450:4001::6d", "::ffff:8.8.8.8"])
def test_s2_a_public_address_is_allowed(address: str) -> None:
    assert str(AddressPolicy().check_address(address)) in (address, str(ipaddress.ip_address(address)))


def test_s2_an_international_name_becomes_ascii() -> None:
    assert normal_host("Smtp.Bücher.example") == "smtp.xn--bcher-kva.example"


def test_s2_a_private_network_opens_only_on_purpose() -> None:
    policy = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),), allowed_ports=frozenset({2025}))
    policy.check_port(2025)
    policy.check_address("127.0.0.1")
    with pytest.raises(Refused):
        policy.check_address("10.0.0.1")
