"""Every message that Postmend sends is right by the RFCs (SRV-5, CODE-2): read by a linter and a strict parser."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.wire.clean import BadText
from mailboxes.wire.mime import Composition, ascii_domain, compose
from tests.linter import faults, name_of, read, text_of

DATE = datetime(2026, 11, 27, 21, 0, tzinfo=UTC)
SCRIPTS = {
    "latin": "Größe, Ærø, façade, naïve: déjà vu à l'œuvre",
    "greek": "Γειά σου Κόσμε, καλημέρα από την Αθήνα",
    "cyrillic": "Здравствуйте, это вопрос о вашей работе",
    "arabic": "مرحبا بكم، هذا سؤال عن عملكم",
    "chinese": "您好，这是一个关于贵公司业务的问题，期待您的回复。",
    "devanagari": "नमस्ते, आपके काम के बारे में एक प्रश्न 👩‍👩‍👧‍👦 🇩🇪",
}
ODD = "\n".join(
    (
        "Dear Ann,", "", ".", "..dots", ".hidden", "From here on", "Fromage", " From", "trailing  ", "tab\t", "-- ",
        "x" * 2000, "an = sign =3D =", "ä" * 400, "--=_boundary", "", "",
    )
)  # fmt: skip
NAMES = (
    "", "Ann", "Ann O'Neil", "Dr. Ann", 'Ann "the boss" \\ Lee', "Lee, Ann", "Müller, Ann", "a@b.test", "=?utf-8?q?x?=",
    "two  spaces", " led", "x" * 150, "word " * 30 + "end", "quoted, " * 15 + "end", "(comment)", *SCRIPTS.values(),
)  # fmt: skip


def made(**values: Any) -> Composition:
    base: dict[str, Any] = {
        "sender": "me@example.com", "recipient": "ann@people.test", "subject": "Hello", "text": "Hi.\n", "date": DATE,
        "message_id": "<1@example.com>",
    }  # fmt: skip
    return Composition(**base | values)


@pytest.mark.parametrize("words", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("html", [False, True])
def test_srv5_names_subjects_and_texts_of_six_scripts_come_out_as_they_went_in(words: str, html: bool) -> None:
    text = f"{words * 20}\n{ODD}{words}\n"
    page = f"<html><body><p>{words * 20}</p>\n.dot\nFrom x</body></html>\n" if html else ""
    letter = compose(made(sender_name=words, subject=f"{words} {words}", text=text, html=page))
    assert faults(letter.body) == []
    assert letter.body.isascii() and not letter.needs_utf8
    message = read(letter.body)
    assert message["Subject"] == f"{words} {words}"
    assert name_of(letter.body) == (words, "me@example.com")
    assert text_of(message) == text
    assert not html or text_of(message, "html") == page


@pytest.mark.parametrize("name", NAMES)
def test_srv5_a_senders_name_is_read_as_it_is_written(name: str) -> None:
    letter = compose(made(sender_name=name))
    assert faults(letter.body) == []
    assert len(read(letter.body)["From"].addresses) == 1
    assert name_of(letter.body) == (name, "me@example.com")


@pytest.mark.parametrize(
    "subject",
    ["", "x" * 500, "two  spaces  ", " led", "=?utf-8?q?fake?=", "a =?b", "Re: " + "long word " * 45, "ö" * 500],
)
def test_srv5_a_subject_is_read_as_it_is_written(subject: str) -> None:
    letter = compose(made(subject=subject))
    assert faults(letter.body) == []
    assert read(letter.body)["Subject"] == subject


def test_srv5_long_ids_and_links_stay_whole_and_are_no_encoded_words() -> None:
    ids = tuple(f"<{'i' * length}@example.com>" for length in (10, 60, 70, 200, 240, 10))
    link = f"<https://app.example.com/unsubscribe/{'t' * 400}/>"
    headers = {"List-Unsubscribe": link, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "X-Postmend": "<a@b> c"}
    letter = compose(made(references=ids, in_reply_to=ids[3], headers=headers, message_id=ids[4]))
    assert faults(letter.body) == []
    message = read(letter.body)
    assert str(message["References"]).split() == list(ids)
    assert (message["In-Reply-To"], message["List-Unsubscribe"]) == (ids[3], link)
    assert ids[4].encode() in letter.body, "a Message-ID is not broken"


def test_srv5_an_international_domain_goes_as_a_label_in_envelope_and_header() -> None:
    letter = compose(made(sender="me@bücher.example", recipient="ann@Παράδειγμα.example"))
    assert faults(letter.body) == []
    assert (letter.sender, letter.recipient) == ("me@xn--bcher-kva.example", "ann@xn--hxajbheg2az3al.example")
    message = read(letter.body)
    assert (message["From"], message["To"]) == (letter.sender, letter.recipient)
    assert not letter.needs_utf8


@pytest.mark.parametrize("side", ["sender", "recipient"])
def test_srv5_a_local_part_of_another_script_needs_smtputf8_and_nothing_else_does(side: str) -> None:
    letter = compose(made(**{side: "andré@example.com"}, subject="Grüße", text="Grüße"))
    assert letter.needs_utf8
    assert faults(letter.body, utf8=True) == []
    assert read(letter.body, utf8=True)["From" if side == "sender" else "To"].addresses[0].username == "andré"


@pytest.mark.parametrize(
    "address",
    [
        "", "ann", "ann@", "@x.test", "a b@x.test", "a<b>@x.test", "a..b@x.test", ".a@x.test", "a@x test", "a@-x.test",
        "a@b@x.test", "a\n@x.test", f"{'a' * 330}@x.test", "a@x..test", '"a@x.test', "a@ä b.test", "a@x.test>",
    ],
)  # fmt: skip
def test_s3_what_is_no_address_is_refused_with_its_field(address: str) -> None:
    with pytest.raises(BadText, match="recipient"):
        compose(made(recipient=address))


@pytest.mark.parametrize(
    "address", [f"{'a' * 65}@x.test", "a@localhost", '"ann lee"@x.test', "a+b=c@x.test", "a@[192.0.2.1]", "ä@x.test"]
)
def test_s3_what_is_an_address_is_none_the_less(address: str) -> None:
    assert ascii_domain(address, "recipient") == address


@pytest.mark.parametrize(
    "values",
    [
        {"subject": "a\nBcc: x@y.test"}, {"subject": "a\x00"}, {"sender_name": "a\r\nX: y"}, {"message_id": "<a\n@b>"},
        {"headers": {"X": "a\nY: b"}}, {"headers": {"X Y": "a"}}, {"headers": {"X:": "a"}}, {"headers": {"X": "ä"}},
        {"headers": {"X": "x" * 1000}}, {"references": ("<ä@b>",)}, {"message_id": ""},
    ],
)  # fmt: skip
def test_s3_a_field_that_would_break_the_message_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadText):
        compose(made(**values))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=200)


@settings(max_examples=150, deadline=None)
@given(name=LINES, subject=LINES, text=TEXTS, page=TEXTS)
def test_srv5_whatever_people_write_is_sent_rightly(name: str, subject: str, text: str, page: str) -> None:
    letter = compose(made(sender_name=name, subject=subject, text=text, html=page))
    assert faults(letter.body) == []
    message = read(letter.body)
    wanted = text.replace("\r\n", "\n").replace("\r", "\n")
    assert text_of(message).removesuffix("\n") == wanted.removesuffix("\n")
    assert letter.body == compose(made(sender_name=name, subject=subject, text=text, html=page)).body
