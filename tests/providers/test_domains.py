"""What a domain's own records say (SPEC C3, H15). Values in, values out."""

from __future__ import annotations

import pytest

from mailboxes.providers.domains import Records, Sign, explain, read
from mailboxes.providers.presets import by_mx


@pytest.mark.parametrize(
    ("exchangers", "provider"),
    [
        (["aspmx.l.google.com", "alt1.aspmx.l.google.com"], "google_workspace"),
        (["gmail-smtp-in.l.google.com"], "gmail"),
        (["smtp.google.com"], "google_workspace"),
        (["example-com.mail.protection.outlook.com"], "microsoft365"),
        (["hotmail-com.olc.protection.outlook.com"], "outlook_com"),
        (["example-com.a-v1.mx.microsoft"], "microsoft365"),
        (["mx.zoho.eu", "mx2.zoho.eu"], "zoho_eu"),
        (["MX1.Hostinger.com."], "hostinger"),
        (["mx.example.com", "aspmx.l.google.com"], "google_workspace"),
        (["notgoogle.com"], None), (["google.com.evil.example"], None), ([], None), ([""], None),
    ],
)  # fmt: skip
def test_c3_a_domain_is_recognised_by_its_mx(exchangers: list[str], provider: str | None) -> None:
    found = by_mx(exchangers)
    assert (found.id if found else None) == provider


FINE = Records(True, ["mx.example.com"], ["ns.example.com"], True)


@pytest.mark.parametrize(
    ("records", "sign"),
    [
        (FINE, Sign.FINE),
        (Records(None), Sign.UNKNOWN),
        (Records(False), Sign.GONE),
        (Records(True, ["mx.example.com"], ["ns1.pendingrenewaldeletion.com"], True), Sign.EXPIRED),
        (Records(True, [], ["expirens3.hichina.com"], True), Sign.EXPIRED),
        (Records(True, [], ["ns1.verification-hold.suspended-domain.com"], True), Sign.HELD),
        (Records(True, [], ["ns1.sedoparking.com"], True), Sign.PARKED),
        (Records(True, [""], ["ns.example.com"], True), Sign.NO_MAIL),
        (Records(True, [], ["ns.example.com"], False), Sign.NO_ADDRESS),
        (Records(True, [], ["ns.example.com"], True), Sign.NO_MX),
        (Records(True, [], ["ns.example.com"], None), Sign.UNKNOWN),
        (Records(True, ["mx.example.com"], ["notsedoparking.com"], True), Sign.FINE),
    ],
)
def test_h15_the_sign_that_stands_out_most(records: Records, sign: Sign) -> None:
    assert read(records) is sign


def test_h15_each_sign_is_told_in_a_sentence_with_the_domain() -> None:
    for sign in set(Sign) - {Sign.FINE, Sign.UNKNOWN}:
        assert "example.com" in explain(sign, "example.com", [], "gmail")
    assert explain(Sign.FINE, "example.com", ["mx.example.com"], "gmail") == ""
    assert explain(Sign.UNKNOWN, "example.com", [], "") == ""


def test_h15_mail_that_moved_to_another_provider_is_told() -> None:
    moved = explain(Sign.FINE, "example.com", ["aspmx.l.google.com"], "zoho_eu")
    assert "handled by Google Workspace by now" in moved
    assert explain(Sign.FINE, "example.com", ["aspmx.l.google.com"], "gmail") == ""


def test_h15_a_filter_hides_the_provider() -> None:
    assert "Mimecast" in explain(Sign.FINE, "example.com", ["eu-smtp-1.mimecast.com"], "")
    assert explain(Sign.FINE, "example.com", ["eu-smtp-1.mimecast.com"], "microsoft365") == ""
