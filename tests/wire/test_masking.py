"""Secrets in a stranger's words are masked in every spelling, before anything is cleaned or cut (SPEC S1)."""

from __future__ import annotations

import base64
import html
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailboxes.wire import masking
from mailboxes.wire.clean import KEPT_CHARS, clean
from mailboxes.wire.masking import MASK, READ_CHARS, mask
from mailboxes.wire.sasl import plain, xoauth2
from mailboxes.wire.values import Login

Spelling = Callable[[str], str]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def split_by(between: str) -> Spelling:
    return lambda secret: between.join([secret[:1], secret[1:3], secret[3:]])


SPELLINGS: dict[str, Spelling] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "swapped case": str.swapcase,
    "base64": b64,
    "base64, upper case": lambda secret: b64(secret).upper(),
    "base64 without padding": lambda secret: b64(secret).rstrip("="),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64 of user:secret": lambda secret: b64(f"me@example.test:{secret}"),
    "base64 of one user byte and the secret": lambda secret: b64(f"u{secret}"),
    "base64 of two user bytes and the secret": lambda secret: b64(f"us{secret}"),
    "AUTH PLAIN": lambda secret: plain(Login("me@example.test", secret)).decode(),
    "AUTH PLAIN with an authorisation identity": lambda secret: b64(f"admin\0me@example.test\0{secret}"),
    "user, NUL, secret": lambda secret: b64(f"me\0{secret}"),
    "XOAUTH2": lambda secret: xoauth2(Login("me@example.test", secret)).decode(),
    "base64 in lines": lambda secret: "\r\n ".join(b64(secret)[at : at + 4] for at in range(0, len(b64(secret)), 4)),
    "IMAP-quoted": lambda secret: '"' + secret.replace("\\", "\\\\").replace('"', '\\"') + '"',
    "Python's repr": repr,
    "JSON": lambda secret: "".join(f"\\u{ord(char):04x}" for char in secret),
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
    "HTML": html.escape,
    "HTML by number": lambda secret: "".join(f"&#{ord(char)};" for char in secret),
    "HTML by hex number": lambda secret: "".join(f"&#x{ord(char):X};" for char in secret),
    "URL": lambda secret: quote(secret, safe=""),
    "URL with plus": quote_plus,
    "URL, lower hex": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
    "LF": split_by("\n"),
    "CRLF": split_by("\r\n"),
    "folded": split_by("\r\n\t "),
    "lines of one reply": split_by("\r\n535-"),
    "NUL": split_by("\0"),
    "soft hyphen": split_by("\u00ad"),
    "zero width": split_by("\u200b"),
    "joiners": split_by("\u2060\u200d"),
    "escape sequence": split_by("\x1b"),
    "no-break space": split_by("\u00a0"),
}
SECRETS = ('hunter2-Kx!9"\\z&<+%/', "abcd efgh ijkl mnop", "pässwort-ñandú")


def letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_sec20_no_spelling_of_a_secret_stays(spelling: str, secret: str) -> None:
    said = clean(f"535 you said {SPELLINGS[spelling](secret)} there", (secret,))
    assert said.count(MASK) == 1
    assert letters(said.replace(MASK, "")) == "535yousaidthere"


@pytest.mark.parametrize("said", ["trailing blank", "&#32;trailing&nbsp;blank", "+trailing+blank+"])
def test_srv11_a_blank_at_either_end_of_a_secret_may_be_lost(said: str) -> None:
    assert clean(f"535 you said {said}", (" trailing blank ",)).count(MASK) == 1


@pytest.mark.parametrize("secret", SECRETS)
def test_sec20_a_secret_with_letters_of_another_encoding_is_masked(secret: str) -> None:
    said = b"535 you said " + secret.encode("latin-1")
    assert letters(secret.strip()[:4]) not in letters(clean(said, (secret,)))


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["C", "M"]), min_size=8),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    before=st.text(st.characters(codec="ascii", categories=["L"]), max_size=40),
    padding=st.integers(0, 600),
)
@example(secret="İstanbul1453", spelling="lower case", before="", padding=0)
def test_sec20_no_secret_of_any_letters_stays(secret: str, spelling: str, before: str, padding: int) -> None:
    said = SPELLINGS[spelling](secret)
    text = f"{before} {'.' * padding} {said} !"
    assert said not in mask(text, (secret,))
    assert secret not in mask(text, (secret,))
    assert MASK in mask(text, (secret,))


@given(st.text(st.characters(exclude_characters="07qxQX", codec="utf-8"), max_size=600))
def test_sec20_ordinary_text_stays_as_it_is(text: str) -> None:
    assert mask(text, ("q7x0qq77xx00", "7070")) == text


@pytest.mark.parametrize("kept", [12, 14, 17])
@pytest.mark.parametrize("spelling", ["plain", "upper case", "soft hyphen", "CRLF"])
def test_srv11_what_a_servers_cut_leaves_of_a_secret_is_masked(spelling: str, kept: int) -> None:
    said = SPELLINGS[spelling]("the-password-of-me"[:kept])
    assert clean(f"535 you said {said}", ("the-password-of-me",)) == f"535 you said {MASK}"


def test_srv11_what_a_cut_leaves_of_a_login_string_is_masked() -> None:
    said = b64("\0me@example.test\0the-password-of-me")[:-8]
    assert clean(f"535 you said {said}", ("the-password-of-me",)) == f"535 you said {MASK}"


def test_srv11_the_rest_of_a_secret_at_the_beginning_is_masked() -> None:
    assert clean("ssword-of-me is wrong", ("the-password-of-me",)) == f"{MASK} is wrong"


def test_srv11_our_own_cut_comes_after_the_mask() -> None:
    for padding in range(KEPT_CHARS - 40, KEPT_CHARS + 20):
        said = clean("x" * padding + "the-password-of-me" + "y" * 600, ("the-password-of-me",))
        assert "the-pa" not in said
    for padding in range(READ_CHARS - 20, READ_CHARS):
        assert "the-password" not in mask("x" * padding + "the-password-of-me" * 2, ("the-password-of-me",))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("535 5.7.8 Invalid password", "password2026!"),
        ("-ERR an error on error", "oner"),
        ("535 no", "no"),
        ("535 5.7.8 failed", "failed"[:3]),
    ],
)
def test_sec20_a_short_or_usual_word_masks_nothing(text: str, secret: str) -> None:
    assert mask(text, (secret,)) == text


def test_sec20_several_secrets_are_masked_side_by_side() -> None:
    assert mask("a first-secret, a second-secret", ("first-secret", "second-secret")) == f"a {MASK}, a {MASK}"


@pytest.mark.parametrize("unit", ["a", "aaab", "\n", "\n535 ", "%41", "&#97;", "\\u0061", "=", " ", "\u200b", "\ufdfa"])
def test_sec20_masking_is_bounded_whatever_comes(unit: str) -> None:
    began = time.process_time()
    mask(unit * 300_000, ("a" * 4000, "b" * 18, "aaab" * 500))
    assert time.process_time() - began < 3


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_sec20_the_quick_way_for_ascii_reads_the_same(text: str) -> None:
    assert masking._said(text) == "".join(map(masking._folded, text))
