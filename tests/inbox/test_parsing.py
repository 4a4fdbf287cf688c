"""What is read in a received message, and that every message is read (SPEC I1)."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailboxes.inbox.parsing import Kind, Parsed, parse
from mailboxes.inbox.parts import READ_BYTES
from mailboxes.inbox.reading import TEXT_CHARS, html_text

MAILS = Path(__file__).parent / "mails"
RAW = {path.stem: path.read_bytes() for path in sorted(MAILS.glob("*.eml"))}


def mail(name: str) -> Parsed:
    return parse(RAW[name], len(RAW[name]))


def of(head: str, body: str = "Hello") -> Parsed:
    raw = f"{head}\n\n{body}".encode()
    return parse(raw, len(raw))


def test_i1_a_reply_tells_its_conversation_sender_and_time() -> None:
    found = mail("reply_quoting_a_bounce")
    assert found.message_id == "<reply1@example.test>"
    assert found.in_reply_to == "<step2.person@sender.test>"
    assert found.references == ("<step1.person@sender.test>", "<step2.person@sender.test>")
    assert (found.from_name, found.from_address, found.to) == (
        "Lea Martin", "lea@example.test", "Anna <anna@sender.test>",
    )  # fmt: skip
    assert found.date == datetime(2024, 6, 12, 8, 0, tzinfo=UTC)
    assert "as you say – our server" in found.text


def test_i1_a_page_is_read_as_a_person_sees_it() -> None:
    found = mail("html_only")
    assert found.text == "Good morning Anna,\n\nyes & no\n1 < 2\na b\n\none\ntwo\n\n😀\N{REPLACEMENT CHARACTER}"
    assert (found.subject, found.mark) == ("Grüße aus Wien", "mark-1")
    assert (found.from_name, found.from_address) == ('Müller "Max" <boss@fake.test>', "max@example.test")


def test_i1_a_cut_message_is_read_as_far_as_it_goes() -> None:
    found = mail("cut_base64")
    assert found.text.startswith("Grüße! Grüße!")
    assert 90 < found.text.count("Grüße!") < 400


@pytest.mark.parametrize("name", RAW)
def test_i1_the_line_ending_makes_no_difference(name: str) -> None:
    assert parse(RAW[name].replace(b"\n", b"\r\n"), 1) == parse(RAW[name], 1)


def test_i1_the_same_message_in_another_folder_has_the_same_identity() -> None:
    kept = RAW["html_only"]
    moved = b"X-Folder: Junk\r\n" + kept.replace(b"  Wien", b"\n  Wien") + b"\nmore"
    assert parse(moved, len(moved)).identity == parse(kept, len(kept)).identity
    assert len({mail(name).identity for name in RAW}) == len(RAW)


def test_i1_the_size_tells_messages_without_an_id_apart() -> None:
    raw = b"From: a@example.test\nSubject: Hi\n\nHello"
    assert parse(raw, 40).identity == parse(raw, 40).identity != parse(raw, 41).identity


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("Lea@Example.test", "", "lea@example.test"),
        ("lea@example.test (Lea M.)", "Lea M.", "lea@example.test"),
        ('"Martin, Lea" <lea@example.test>, b@example.test', "Martin, Lea", "lea@example.test"),
        ('"boss@bank.test" <lea@example.test>', "boss@bank.test", "lea@example.test"),
        ("=?utf-8?q?boss=40bank=2Etest_=3Cboss=40bank=2Etest=3E?= <l@example.test>", "boss@bank.test <boss@bank.test>",
         "l@example.test"),
        ("Lea\u202e\x00\x07 M <lea@example.test>", "Lea M", "lea@example.test"),
        ("Jürgen <jürgen@bücher.test>", "Jürgen", "jürgen@bücher.test"),
        ("<>", "", ""),
        ("", "", ""),
        ("(" * 5000, "", ""),
    ],
)  # fmt: skip
def test_i1_the_sender_is_the_address_and_no_name_that_looks_like_one(value: str, name: str, address: str) -> None:
    found = of(f"From: {value}")
    assert (found.from_name, found.from_address) == (name, address)


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("=?utf-8?B?R3LDvMOf?=\n =?utf-8?B?ZQ==?= x", "Grüße x"),
        ("=?gb2312?B?xOO6ww==?=", "你好"),
        ("=?iso-2022-jp?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは"),
        ("=?no-such?Q?caf=E9?=", "café"),
        ("=?utf-8?Q?cut=C3", "=?utf-8?Q?cut=C3"),
        ("=?idna?Q?abc?= =?unicode_escape?Q?=5Cx?=", "abc\\x"),
        ("Straße ohne Kodierung", "Straße ohne Kodierung"),
        ("two\n lines\tand  \x1b[31mcolour", "two lines and [31mcolour"),
        ("x" * 9000, "x" * 500),
    ],
)
def test_i1_a_subject_is_one_decoded_line(value: str, subject: str) -> None:
    assert of(f"Subject: {value}").subject == subject


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("Tue, 4 Jun 2024 09:12:31 -0700 (PDT)", datetime(2024, 6, 4, 16, 12, 31, tzinfo=UTC)),
        ("Tue, 4 Jun 2024 09:12:31 -0000", datetime(2024, 6, 4, 9, 12, 31, tzinfo=UTC)),
        ("Thu, 1 Jan 1970 00:00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("Tue, 4 Jun 2024 09:12:31 +9999", None),
        ("Tue, 40 Jun 2024 09:12:31 +0000", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_i1_a_date_is_in_utc_or_none(value: str, date: datetime | None) -> None:
    assert of(f"Date: {value}").date == date


def test_i1_references_are_bounded_and_keep_the_first_and_the_newest() -> None:
    found = of("References: " + "\n ".join(f"<{n}@x.test>" for n in range(80))).references
    assert len(found) == 50
    assert (found[0], found[1], found[-1]) == ("<0@x.test>", "<31@x.test>", "<79@x.test>")


def test_i1_ids_are_read_as_programs_write_them() -> None:
    found = of("Message-ID: 123@x.test\nIn-Reply-To: Your message <a@\n x.test> of Monday")
    assert (found.message_id, found.in_reply_to) == ("123@x.test", "<a@x.test>")


def test_i1_attachments_and_attached_messages_are_not_text() -> None:
    found = of(
        "Content-Type: multipart/mixed; boundary=b",
        "--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nfile\n"
        "--b\nContent-Type: text/html\n\n<p>seen</p>\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\ninner\n--b--",
    )
    assert found.text == "seen"


@pytest.mark.parametrize(
    ("charset", "data"),
    [
        ("iso-8859-1", b"caf\xe9"),
        ("utf-8", b"caf\xc3\xa9"),
        ("", b"caf\xe9"),
        ("", b"caf\xc3\xa9"),
        ("x-none", b"caf\xe9"),
    ],
)
def test_i1_a_text_of_eight_bits_is_read_in_its_character_set(charset: str, data: bytes) -> None:
    raw = f"Content-Type: text/plain; charset={charset}\n\n".encode() + data
    assert parse(raw, len(raw)).text == "café"


def test_i1_an_empty_plain_part_gives_way_to_the_page() -> None:
    head = "Content-Type: multipart/alternative; boundary=b"
    page = "--b\nContent-Type: text/html\n\n<b>page</b>\n"
    assert of(head, f"{page}--b\nContent-Type: text/plain\n\n \n--b--").text == "page"
    assert of(head, f"{page}--b\nContent-Type: text/plain\n\nplain\n--b--").text == "plain"


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Hello", "Out of Office", "Out of the office until 3 May", "OOO: Hello", "Auto-Reply: x",
        "Automatische Antwort: Angebot", "Abwesenheitsnotiz", "[Abwesenheit] Hallo", "Réponse automatique : Bonjour",
        "Reponse automatique: x", "Absence du bureau: x", "Respuesta automática: Hola", "Fuera de la oficina: x",
        "Risposta automatica: Ciao", "Fuori sede", "Automatisch antwoord: Hallo", "Afwezigheidsbericht: x",
        "Resposta automática: Olá", "Ausência temporária", "I’m out of the office Re: x",
    ],
)  # fmt: skip
def test_i1_an_out_of_office_subject_is_an_automatic_reply(subject: str) -> None:
    assert of(f"Subject: {subject}").kind is Kind.AUTO_REPLY


@pytest.mark.parametrize(
    "head",
    [
        "Subject: Re: Out of office furniture",
        "Subject: Out of office furniture",
        "Subject: AW: Automatische Antwort: Angebot",
        "Subject: Our out of office: what we learned",
        "Subject: Absences in May",
        "Subject: Ooops",
        "Subject: Re: Hello\nAuto-Submitted: no",
        "Subject: Re: Hello\nX-Auto-Response-Suppress: All",
        "Subject: Re: Hello\nPrecedence: bulk",
        "From: postmaster@example.test\nIn-Reply-To: <a@x.test>",
        "Return-Path: <>\nSubject: Re: Hello",
    ],
)
def test_i1_a_persons_message_is_no_automatic_reply(head: str) -> None:
    assert of(head).kind is Kind.MESSAGE


@pytest.mark.parametrize(
    "head",
    [
        "Auto-Submitted: auto-replied (vacation)",
        "X-Autoreply: yes",
        "X-Autorespond: Hello",
        "Precedence: auto_reply",
        "Precedence: bulk\nSubject: Re: Out of office",
        "X-Auto-Response-Suppress: All\nSubject: AW: Abwesenheit: Angebot",
        "From: MAILER-DAEMON@example.test\nSubject: Something new",
    ],
)
def test_i1_a_machines_headers_make_an_automatic_reply(head: str) -> None:
    assert of(head).kind is Kind.AUTO_REPLY


@pytest.mark.parametrize("name", ["gmail_vacation", "outlook_out_of_office", "german_auto_reply", "read_receipt"])
def test_i1_real_automatic_replies_are_known(name: str) -> None:
    assert (mail(name).kind, mail(name).bounce) == (Kind.AUTO_REPLY, None)


def test_i1_a_german_automatic_reply_is_decoded() -> None:
    found = mail("german_auto_reply")
    assert (found.from_name, found.subject) == ("Jörg Müller", "Abwesenheitsnotiz: Rückfrage zu Ihrem Lager")
    assert found.text == "Ich bin bis zum 24. Juni nicht im Büro. Ein Anruf kostet 0 €."


def check(found: Parsed) -> None:
    """What the database and the pages rely on."""
    assert len(found.text) <= TEXT_CHARS
    assert max(map(len, (found.subject, found.to, found.mark, found.message_id, found.in_reply_to))) <= 500
    assert len(found.from_name) <= 200
    assert len(found.from_address) <= 320
    assert len(found.references) <= 50
    assert found.date is None or found.date.utcoffset() == datetime.now(UTC).utcoffset()
    lines = (found.subject, found.to, found.mark, found.from_name, found.from_address, found.message_id)
    bounce = found.bounce
    more = (bounce.recipient, bounce.status, bounce.diagnostic, bounce.original_message_id) if bounce else ()
    for value in (*lines, *found.references, found.in_reply_to, *more):
        assert "\n" not in value
        assert "\0" not in value
        value.encode()
    assert not set(found.text) & {"\0", "\r", "\x1b"}
    found.text.encode()


@given(st.binary(max_size=2000))
@settings(max_examples=300)
def test_i1_any_bytes_are_read(raw: bytes) -> None:
    check(parse(raw, len(raw)))


NASTY = [
    b"\0", b"\r", b"\n\n", b"\xff", b"=?utf-7?B?KzJBQS0=?=", b"=?x?q?", b"boundary*=idna''x;", b"charset*=x'y'z;", b"<",
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=\n", b"Content-Type: message/rfc822\n",
    b"Content-Type: message/delivery-status\n", b"Content-Transfer-Encoding: x-uuencode\n", b"charset=undefined;",
    b"\nContent-Type: text/html; charset=utf-7\n\n+2AA-<a &#xD800;", b"Date: 1 Jan 0 0:0:0 +99999999999999999\n", b"--",
    b"Content-Transfer-Encoding: base64\n\n=A", b"Message-ID: <\r>\n",
    b"&#" + b"9" * 5000, b"boundary*1*=", b"boundary*99=a;",
]  # fmt: skip


@given(st.sampled_from(sorted(RAW)), st.data())
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_i1_a_mutilated_mail_is_read(name: str, data: st.DataObject) -> None:
    raw = RAW[name]
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 300)))
        raw = raw[:start] + data.draw(st.sampled_from(NASTY) | st.binary(max_size=20)) + raw[end:]
    raw = raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw
    check(parse(raw, len(raw)))


NESTED = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3000))
PAGE = "Content-Type: text/html\n\n"
MIXED = "Content-Type: multipart/mixed; boundary=a\n\n"
STATUS = "Content-Type: message/delivery-status\n\n"


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (NESTED, "\n"), (NESTED[:2000], "\n"), ("", "Content-Type: message/rfc822\n\n"), (MIXED, "--a\n\n"),
        (STATUS, "A: b\n\n"), (STATUS, "\n"), ("", "a: b\n"), ("Subject: ", "=?a?q?"), ("Subject: ", "Re: "),
        ("Subject: ", "_ "), ("Subject: x", "\n y"), ("From: ", "("), ("From: ", '"\\'), ("From: ", "a@"),
        ("References: ", "<"), ("Content-Type: text/plain", ';"'), ("\n", "\r"), (PAGE, "<a "), (PAGE, "<!--"),
        (PAGE, "<"), (PAGE, "<a \"'"), (PAGE, "<a '<'<"), (PAGE, '<a"<"'), (PAGE + "<a ", 'b="c" '), (PAGE, "<script"),
        (PAGE, "<br>"), (PAGE, "\n\t"), (PAGE, "&#99999"), (PAGE + "&#", "9"),
        ("From: mailer-daemon@x.test\n\nundeliverable a@b.test ", "\n \t"),
    ],
)  # fmt: skip
def test_i1_a_message_made_to_be_slow_is_read_in_time(head: str, again: str) -> None:
    raw = (head + again * (2 * READ_BYTES // len(again)))[: 2 * READ_BYTES].encode()
    begun = time.process_time()
    check(parse(raw, len(raw)))
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "params", ["boundary*=x; boundary*1=y", "boundary*=idna''x", "charset*=x'y'z", f"charset*{'9' * 900}=a"]
)
def test_i1_parameters_at_which_the_standard_library_raises_are_read(params: str) -> None:
    raw = f"Content-Type: multipart/mixed; {params}\nSubject: Hi\n\n--x\n\n".encode() + b"caf\xe9"
    assert parse(raw, len(raw)).subject == "Hi"
    assert parse(raw.replace(b"multipart/mixed", b"text/plain"), len(raw)).text.endswith("café")


def test_i1_a_long_text_is_bounded_in_every_encoding() -> None:
    coded = base64.encodebytes("ü".encode() * 200_000).decode()
    head = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64"
    assert of(head, coded).text == "ü" * TEXT_CHARS
    assert len(of(PAGE.strip(), "<p>x</p>" * 60_000).text) <= TEXT_CHARS
    assert html_text("a <b") == "a <b"
