"""Leads from a file (K1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import importing
from campaigns.models import Step
from tests.campaigns.desk import ready
from tests.make import START, make_workspace
from tests.post import make_campaign

pytestmark = pytest.mark.django_db


# ---- import

FILE = (
    "Email;First name;Company\n"
    "ann@b.test;Ann;Elm\nANN@b.test;Ann;Elm\nnot an address;Bo;Elm\n;Cy;Elm\nünder@b.test;Dee;Elm\n"
    "fay@b.test;Fay\ngus@b.test;;Oak\n"
)


def test_k1_a_dry_run_says_what_is_wrong_with_each_row_and_changes_nothing() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], [])
    Step.objects.filter(campaign=campaign, number=1).update(body="{{ first_name }}, {{ company|you }}")
    found = importing.read(FILE.encode(), campaign)
    assert [row.email for row in found.good] == ["ann@b.test", "fay@b.test"]
    faults = {row.line: row.fault for row in found.bad}
    assert sorted(faults) == [3, 4, 5, 6, 8]
    assert "twice" in faults[3] and "no email" in faults[4] and "missing" in faults[5] and "ASCII" in faults[6]
    assert "first_name" in faults[8]
    assert not campaign.leads.exists()


def test_k1_an_import_keeps_the_good_rows_in_their_order_and_twice_is_once() -> None:
    [mailbox] = ready(make_workspace())
    campaign = make_campaign([mailbox], ["old@b.test"])
    for _time in range(2):
        importing.keep(FILE.encode("utf-8-sig"), campaign, START)
    kept = [(lead.place, lead.email) for lead in campaign.leads.order_by("place")]
    assert kept == [(1, "old@b.test"), (2, "ann@b.test"), (3, "fay@b.test"), (4, "gus@b.test")]
    assert campaign.leads.get(email="ann@b.test").fields == {"first_name": "Ann", "company": "Elm"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"name\nAnn\n",
        "email\nä".encode("latin-1"),
        b"email,email\n",
        b"email\n\0",
        b'email,"a\n',
        b"email," + b"a" * 200,
    ],
)
def test_k1_a_file_that_cannot_be_read_is_refused_whole(data: bytes) -> None:
    [mailbox] = ready(make_workspace())
    with pytest.raises(importing.Unreadable):
        importing.read(data, make_campaign([mailbox], []))


# ---- every line is in one of the two numbers


def read(data: bytes) -> importing.Read:
    [mailbox] = ready(make_workspace())
    return importing.read(data, make_campaign([mailbox], []))


def three_hundred(**changed: str) -> bytes:
    lines = [changed.get(f"line{number}", f"l{number}@x.test,Ann") for number in range(2, 302)]
    return "\n".join(["email,first_name", *lines, ""]).encode()


@pytest.mark.parametrize(
    "line",
    ['l2@x.test,"Ann', '"l2@x.test,Ann', 'l2@x.test,"', '"', 'l2@x.test,"Ann"x', "l2@x.test,Ann,Bo", "", ";", "no"],
)
@pytest.mark.parametrize("other", ["l5@x.test,Bo", 'l5@x.test,"Bo"', '"l5@x.test","Bo"', 'l5@x.test,"Bo'])
def test_ux4_one_bad_line_is_one_bad_line(line: str, other: str) -> None:
    found = read(three_hundred(line2=line, line5=other))
    bad = {row.line: row.fault for row in found.bad}
    expected = {2, 5} if other.count('"') % 2 else {2}
    assert set(bad) == expected and all(bad.values())
    assert (len(found.good), found.bad_lines, found.lines) == (300 - len(bad), len(bad), 300)


def test_ux4_an_unclosed_quotation_mark_is_named() -> None:
    [row] = read(three_hundred(line2='l2@x.test,"Ann')).bad
    assert (row.line, "quotation mark" in row.fault) == (2, True)


def test_ux4_a_value_over_lines_is_one_lead_and_its_lines_are_counted() -> None:
    found = read(b'email,note\r\na@x.test,"one\r\ntwo ""three"""\r\nb@x.test,x\r\n\r\nc@x.test,y')
    assert [(row.line, row.lines, row.email) for row in found.good] == [
        (2, 2, "a@x.test"), (4, 1, "b@x.test"), (6, 1, "c@x.test"),
    ]  # fmt: skip
    assert found.good[0].fields == {"note": 'one two "three"'}
    assert ([(row.line, row.fault) for row in found.bad], found.lines) == ([(5, "The line is empty.")], 5)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_ux4_separators_line_ends_and_a_mark_of_the_encoding(separator: str, end: str, mark: str) -> None:
    text = mark + end.join(
        [f"Email{separator}City", f"a@x.test{separator}Łódź", f'b@x.test{separator}"{separator}"', ""]
    )
    found = read(text.encode())
    assert [row.fields for row in found.good] == [
        {"city": "Łódź"}, {} if separator == "\t" else {"city": separator},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("a@x.test," + "x" * 501, "500"), ("a@x.test," + "x" * 30_000, "20,000"), ("a@x.test,a\x07b", "shown"),
        ("a" * 250 + "@x.test,Ann", "254"),
    ],
)  # fmt: skip
def test_ux4_what_is_too_long_or_strange_is_told_and_not_cut(line: str, word: str) -> None:
    [row] = read(three_hundred(line2=line)).bad
    assert row.line == 2 and word in row.fault


@pytest.mark.parametrize("data", ["é".encode("latin-1"), "email\na@x.test".encode("utf-16"), b"email\r\0"])
def test_ux4_another_encoding_is_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(importing.Unreadable, match="CSV UTF-8"):
        read(data)


@given(st.text(alphabet='a@x.;,"\n\r \t', max_size=200))
def test_ux4_any_file_has_every_line_in_one_of_the_two(body: str) -> None:
    rows = list(importing._rows("email,a\n" + body))
    lines = importing._LINE_END.split(body)
    while lines and not lines[-1]:
        lines.pop()
    assert sum(row.lines for row in rows) == len(lines)
    assert [row.line for row in rows] == [2 + sum(one.lines for one in rows[:at]) for at in range(len(rows))]


def work(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many characters the CSV reader is given."""
    given_chars = 0
    values = importing._values

    def counted(record: str, separator: str) -> list[str]:
        nonlocal given_chars
        given_chars += len(record)
        return values(record, separator)

    monkeypatch.setattr(importing, "_values", counted)
    list(importing._rows(text))
    monkeypatch.undo()
    return given_chars


@pytest.mark.parametrize("line", ['"', 'a@x.test,"x', '"a@x.test",""', '"' * 99])
def test_ux4_reading_is_linear_whatever_the_quotation_marks(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once, twice = (work("email,a\n" + f"{line}\n" * amount, monkeypatch) for amount in (2_000, 4_000))
    assert twice < 2.1 * once
