"""Odd mail is read as it is meant: raw bytes, comments, boundaries, no id (MAIL-16, MAIL-17, SEC-22)."""

from __future__ import annotations

import time

import pytest

from mailboxes.inbox.parsing import parse
from tests.inbox.test_parsing import mail, of


def subject(value: bytes) -> str:
    raw = b"From: a@b.test\nSubject: " + value + b"\n\nx\n"
    return parse(raw, len(raw)).subject


# ---- raw 8-bit bytes


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"Fr\xf6sche", "Frösche"),
        ("Frösche".encode(), "Frösche"),
        (b"=?iso-8859-1?Q?Fr\xf6sche?=", "Frösche"),
        (b"=?iso-8859-1?Q?Gr\xfc\xdfe_aus_K=F6ln?=", "Grüße aus Köln"),
        (b"=?iso-8859-1?Q?" + "Frösche".encode() + b"?=", "Frösche"),
        (b"=?utf-8?Q?Fr\xf6sche?=", "Frösche"),
        (b"=?utf-8?Q?Fr=F6sche?=", "Frösche"),
        (b"=?iso-8859-2?Q?\xb3\xf3d=BC?=", "łódź"),
        (b"=?koi8-r?Q?\xd0\xd2\xc9\xd7\xc5\xd4?=", "привет"),
        (b"=?gb2312?Q?=C4=E3=BA=C3?=", "你好"),
        (b"=?x-unknown?Q?Fr\xf6sche?=", "Frösche"),
        (b"=?utf-8?B?Fr\xf6sche?=", "Frösche"),
        (b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?= Fr\xf6sche", "Grüße Frösche"),
    ],
)
def test_mail16_raw_bytes_are_read_and_never_dropped(value: bytes, text: str) -> None:
    assert subject(value) == text


def test_mail16_a_real_subject_with_raw_bytes_and_a_senders_name_are_read() -> None:
    assert mail("raw_bytes_in_word").subject == "Grüße aus Köln"
    raw = b"From: =?iso-8859-1?Q?J\xfcrgen?= <j@b.test>\n\nx"
    assert parse(raw, len(raw)).from_name == "Jürgen"


# ---- senders


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("kim (Kim) @ (at) lead.test", "Kim", "kim@lead.test"),
        ("kim(comment)@lead.test", "comment", "kim@lead.test"),
        ("Kim <kim(work)@lead.test>", "Kim", "kim@lead.test"),
        ("(hi) kim@lead.test (Kim (nested) Lee)", "hi", "kim@lead.test"),
        ("(boss@bank.test) kim@lead.test", "boss@bank.test", "kim@lead.test"),
        ("Kim (not <boss@bank.test>) <kim@lead.test>", "Kim (not <boss@bank.test>)", "kim@lead.test"),
        ("Kim Lee (Acme) <kim@lead.test>", "Kim Lee (Acme)", "kim@lead.test"),
        ('"kim"@lead.test', "", "kim@lead.test"),
        ('"kim smith"@lead.test', "", '"kim smith"@lead.test'),
        ('Kim <"kim smith"@lead.test>', "Kim", '"kim smith"@lead.test'),
        ('Kim <"k\\"im"@lead.test>', "Kim", '"k\\"im"@lead.test'),
        ("<kim . lee @ lead . test>", "", "kim.lee@lead.test"),
        ('"(" <kim@lead.test>', "(", "kim@lead.test"),
        ("kim@lead.test (not closed", "", "kim@lead.test"),
        ('boss@bank.test, "kim"@lead.test', "", "boss@bank.test"),
    ],
)
def test_mail17_a_senders_address_is_read_with_comments_and_quotes(value: str, name: str, address: str) -> None:
    found = of(f"From: {value}")
    assert (found.from_name, found.from_address) == (name, address)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("B\u200boss", "Boss"), ("\ufeffBoss\u2060", "Boss"), ("Bo\u00adss", "Boss"), ("Bo\u200dss", "Boss"),
        ("\u2066Boss\u2069", "Boss"), ("Bo\u200f\u200ess", "Boss"), ("\u3164", ""), ("Boss\U000e0041", "Boss"),
        ("B\ufe0foss", "Boss"), ("می\u200cخواهم", "می\u200cخواهم"), ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d👧", "👩\u200d👧"), ("❤\ufe0f", "❤\ufe0f"), ("B\u200d\u200d\u200doss", "Boss"),
    ],
)  # fmt: skip
def test_sec22_nothing_invisible_stays_in_a_name_or_subject(name: str, shown: str) -> None:
    found = of(f"From: {name} <a@b.test>\nSubject: {name}")
    assert (found.from_name, found.subject) == (shown, shown)


# ---- boundaries


@pytest.mark.parametrize(("outer", "inner"), [("b", "b--"), ("b--", "b"), ("b", "bb"), ("bb", "b"), ("b.x", "b.x--")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_mail17_a_boundary_that_begins_another_loses_nothing(outer: str, inner: str, end: str) -> None:
    lines = [
        "From: a@b.test", f'Content-Type: multipart/mixed; boundary="{outer}"', "", f"--{outer}",
        f'Content-Type: multipart/alternative; boundary="{inner}"', "", f"--{inner}", "Content-Type: text/html", "",
        "<p>page</p>", f"--{inner}", "Content-Type: text/plain", "", "the words", f"--{inner}--", "", f"--{outer}",
        "Content-Type: text/plain", "", "the rest", f"--{outer}--", "",
    ]  # fmt: skip
    raw = end.join(lines).encode()
    assert parse(raw, len(raw)).text.split("\n\n") == ["the words", "the rest"]


def test_mail17_three_boundaries_that_begin_each_other_lose_nothing() -> None:
    body = (
        '--b\nContent-Type: multipart/mixed; boundary="b--"\n\n--b--\n'
        'Content-Type: multipart/mixed; boundary="b--x"\n\n--b--x\n\none\n--b--x--\n--b--\n\ntwo\n--b----\n'
        "--b\n\nthree\n--b--"
    )
    text = of('Content-Type: multipart/mixed; boundary="b"', body).text
    assert text.split() == ["one", "two", "three"]


def test_mail17_many_boundaries_are_read_in_time() -> None:
    began = time.process_time()
    names = "".join(f'boundary="{"-" * (number % 60)}"\n' for number in range(20_000))
    of("Content-Type: multipart/mixed; boundary=b", f"{names}--b\n\nx\n--b--")
    of("From: " + "(" * 900 + '"\\' * 500 + ")" * 600)
    assert time.process_time() - began < 2


# ---- no id


def test_mail17_two_messages_without_an_id_that_look_alike_are_two() -> None:
    head = "From: a@b.test\nDate: Fri, 20 Nov 2026 12:00:00 +0000\nSubject: Form"
    one, two = of(head, "Call Ann."), of(head, "Call Bob.")
    assert one.identity != two.identity
    assert one.identity == of(head, "Call Ann.").identity, "the same one in another folder"
    raw = f"{head}\n\nCall Ann.".encode()
    assert one.identity == parse(raw.replace(b"\n", b"\r\n"), len(raw)).identity
