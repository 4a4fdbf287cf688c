"""The provider table (SPEC C3)."""

from __future__ import annotations

import pytest

from mailboxes.providers.presets import by_address, by_id, family, names
from mailboxes.wire.addresses import MAIL_PORTS


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("a@gmail.com", "gmail"), ("a@GoogleMail.com", "gmail"), ("a@hotmail.de", "outlook_com"),
        ("a@acme.onmicrosoft.com", "microsoft365"), ("a@yahoo.com", "yahoo"), ("a@web.de", "web_de"),
    ],
)  # fmt: skip
def test_c3_an_address_is_recognised_by_its_domain(address: str, provider: str) -> None:
    preset = by_address(address)
    assert preset is not None and preset.id == provider


def test_c3_nothing_found_is_a_normal_result() -> None:
    assert by_address("a@my-own-domain.example") is None
    assert by_address("no address") is None


def test_c3_every_preset_uses_ports_that_may_be_reached() -> None:
    presets = [by_id(provider) for provider, _name in names()]
    places = [place for preset in presets if preset for place in (preset.smtp, preset.imap) if place]
    assert len(presets) == 97
    assert {place.port for place in places} <= MAIL_PORTS


def test_r1_a_brand_has_one_family() -> None:
    assert {family("gmail"), family("google_workspace")} == {"google"}
    assert family("hostinger") == "hostinger"
