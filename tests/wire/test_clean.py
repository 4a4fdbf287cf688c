"""Words of strangers, made fit to keep (SPEC D4, S1, S3)."""

from __future__ import annotations

import base64

import pytest

from mailboxes.wire.clean import BadText, clean, refuse_control
from mailboxes.wire.values import Endpoint, LegTarget, Login, SecretKind, Security, Target
from tests.secrets import MARK, leaks, spellings


def test_d4_control_characters_go_and_lines_stay() -> None:
    assert clean(b"535 no\r\n\x1b[31mred\x00\x07") == "535 no\n [31mred"


def test_d4_a_reply_is_cut_at_500_characters() -> None:
    assert len(clean("x" * 9000)) == 500


@pytest.mark.parametrize("spelling", ["raw", "base64", "plain", "url"])
def test_s1_a_secret_that_a_server_repeats_is_masked(spelling: str) -> None:
    secret = f"{MARK} & more+"
    plain = base64.b64encode(f"\0me\0{secret}".encode()).decode()
    said = {
        "raw": secret,
        "base64": base64.b64encode(secret.encode()).decode(),
        "plain": plain,
        "url": f"{MARK}%20%26%20more%2B",
    }[spelling]
    assert leaks(clean(f"535 you said {said}", (secret, plain))) == []


@pytest.mark.parametrize(
    "token", ["Bearer abcdefghijklm", "ya29.a0AfH6SMBx", "1//0gAbCdEfGhIjKl", "eyJhbGciOiJIUzI1NiJ9.e30.x"]
)
def test_s1_what_looks_like_a_token_is_masked(token: str) -> None:
    assert token.split()[-1] not in clean(f"refused: {token} ok")


def test_s1_a_sign_in_link_loses_its_token_and_keeps_its_reason() -> None:
    said = clean("https://accounts.google.com/signin?sarp=1&plt=AKgnsbt https://support.google.com/?p=WebLoginRequired")
    assert "AKgnsbt" not in said
    assert "p=WebLoginRequired" in said


@pytest.mark.parametrize("bad", ["a\rb", "a\nb", "a\0b", "a\x1bb", "a\x85b"])
def test_s3_a_control_character_is_refused_with_the_field(bad: str) -> None:
    with pytest.raises(BadText, match="password"):
        refuse_control(bad, "password")


def test_s1_the_search_for_secrets_finds_every_spelling() -> None:
    for shift in range(3):
        said = base64.b64encode(b"x" * shift + f"{MARK}-1".encode()).decode()
        assert leaks(said), said
    assert len(spellings()) == 4
    assert leaks(f"user%40x:{MARK}-1")


def test_s1_no_repr_shows_a_secret() -> None:
    leg = LegTarget(Endpoint("h.example", 465, Security.SSL), Login("me", MARK, SecretKind.PASSWORD))
    assert leaks(repr(Target(leg, leg))) == []
