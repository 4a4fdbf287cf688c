"""FETCH by IMAP's grammar: what servers may say, compared with another client's parser, in linear time (I5)."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imapclient.response_parser import parse_fetch_response

from mailboxes.wire import imap_grammar as grammar
from mailboxes.wire.dialogue import ProtocolFault
from mailboxes.wire.imap_grammar import NotFetch, merge_by_uid, parse_fetch
from mailboxes.wire.imap_reply import READING, ImapParser
from mailboxes.wire.imap_visit import wider
from mailboxes.wire.values import Limits

TEXT = b"Subject: UID 77\r\n\r\nFLAGS (\\Seen) {3}\r\n"


def test_srv2_flags_told_after_the_body_take_nothing_of_it() -> None:
    told = [
        b"* 1 FETCH (UID 10 BODY[]<0> {%d}\r\n%b)\r\n" % (len(TEXT), TEXT),
        b"* 1 FETCH (UID 10 FLAGS (\\Seen))\r\n",
        b"* 1 FETCH (FLAGS (\\Deleted))\r\n",
    ]
    merged = merge_by_uid(told)
    assert (list(merged), grammar.body(merged[10]), grammar.flags(merged[10])) == ([10], TEXT, frozenset({"\\seen"}))


def test_srv2_names_in_lower_case_are_the_same_names() -> None:
    items = parse_fetch(b"* 3 fetch (uid 10 flags () rfc822.size 60)\r\n")
    assert (grammar.number(items, "UID"), grammar.number(items, "RFC822.SIZE"), grammar.flags(items)) == (
        10,
        60,
        frozenset(),
    )


def test_srv2_a_body_before_the_uid_may_hold_any_words() -> None:
    items = parse_fetch(b'* 1 FETCH (BODY[] "UID 77 RFC822.SIZE 1 \\"quoted\\" \\\\" UID 10)\r\n')
    assert (grammar.number(items, "UID"), grammar.body(items)) == (10, b'UID 77 RFC822.SIZE 1 "quoted" \\')


@pytest.mark.parametrize(
    ("written", "body"),
    [(b"{0}\r\n", b""), (b"NIL", b""), (b"~{3}\r\na\0b", b"a\0b"), (b"{3+}\r\n)\r\n", b")\r\n"), (b'""', b"")],
)
def test_srv2_literals_of_every_kind_are_read(written: bytes, body: bytes) -> None:
    items = parse_fetch(b"* 1 FETCH (UID 10 BODY[]<0> " + written + b" FLAGS (a))")
    assert (grammar.body(items), grammar.flags(items)) == (body, frozenset({"a"}))


@pytest.mark.parametrize(
    "line",
    [
        b"* 1 FETCH (UID 10 BODY[] {9}\r\nabc)", b"* 1 FETCH (UID 10", b"* 1 FETCH (UID 10))", b"* 1 EXISTS",
        b'* 1 FETCH (UID 10 BODY[] "abc)', b"* 1 FETCH UID 10", b"* 1 FETCH (UID 10 FLAGS " + b"(" * 21 + b")" * 22,
        b"* 1 FETCH (UID 10 FLAGS (" + b"a " * 20_001 + b"))", b"",
    ],
)  # fmt: skip
def test_srv2_what_is_no_fetch_response_is_taken_for_none(line: bytes) -> None:
    with pytest.raises(NotFetch):
        parse_fetch(line)
    assert merge_by_uid([line]) == {}


ATOMS = st.from_regex(r"[$a-zA-Z\\][a-zA-Z0-9._-]{0,6}", fullmatch=True).filter(lambda word: word.upper() != "NIL")
STRINGS = st.binary(max_size=40)


def written(value: Any) -> bytes:
    if isinstance(value, tuple):
        return b"(" + b" ".join(written(one) for one in value) + b")"
    if value is None:
        return b"NIL"
    if isinstance(value, str):
        return value.encode()
    assert isinstance(value, bytes)
    if value.isascii() and not re.search(rb"[\0\r\n]", value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(value), value)


def pieces(line: bytes) -> list[Any]:
    """A response as imaplib gives it to IMAPClient: text, and a pair for each literal."""
    parts: list[Any] = []
    while found := re.search(rb"\{(\d+)\}\r\n", line):
        end = found.end() + int(found[1])
        parts.append((line[: found.end() - 2], line[found.end() : end]))
        line = line[end:]
    return [*parts, line]


@given(
    uid=st.integers(1, 4_294_967_295),
    flags=st.lists(ATOMS, max_size=4),
    body=STRINGS.filter(lambda raw: b"{" not in raw),
    extra=st.dictionaries(st.sampled_from(["X-GM-LABELS", "X-PARTS", "X-ODD"]), st.tuples(ATOMS, STRINGS.filter(
        lambda raw: b"{" not in raw), st.none()), max_size=3),
    order=st.randoms(),
)  # fmt: skip
def test_srv2_the_grammar_reads_what_imapclient_reads(
    uid: int, flags: list[str], body: bytes, extra: dict[str, Any], order: Any
) -> None:
    items: list[tuple[str, Any]] = [("UID", str(uid)), ("FLAGS", tuple(flags)), ("BODY[]", body), *extra.items()]
    order.shuffle(items)
    inside = b"(" + b" ".join(name.encode() + b" " + written(value) for name, value in items) + b")"
    ours = parse_fetch(b"* 1 FETCH " + inside)
    theirs: Any = parse_fetch_response(pieces(b"1 " + inside))[uid]
    assert grammar.number(ours, "UID") == uid
    assert grammar.flags(ours) == {flag.decode().lower() for flag in map(_bytes, theirs[b"FLAGS"])}
    assert grammar.body(ours) == (theirs[b"BODY[]"] or b"")
    for name in extra:
        assert _plain(ours[name]) == _plain(theirs[name.encode()])


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _plain(value: Any) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, tuple) else None if value is None else _bytes(value)


@given(st.binary(max_size=200))
def test_srv2_no_bytes_make_it_raise_anything_else(noise: bytes) -> None:
    merge_by_uid([b"* 1 FETCH (" + noise, noise])


def steps(line: bytes) -> int:
    """Lines of our own code that run while the bytes are read: no clock."""
    count = 0

    def trace(frame: Any, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        parser = ImapParser(wider(Limits()), READING, keep_literals=True)
        parser.feed(b"* OK hi\r\n" + line + b"\r\n")
        while reply := parser.next_reply():
            merge_by_uid([reply.data])
    except ProtocolFault:
        pass
    finally:
        sys.settrace(None)
    return count


HOSTILE = {
    "open lists": b"FLAGS (", "flags": b"a ", "empty lists": b"() ", "zero literals": b"X {0}\r\n ", "quotes": b'"\\" ',
    "braces": b"{1", "zeros": b"0", "brackets": b"BODY[", "escapes": b"\\\\", "blanks": b" ", "angles": b"B[]<1",
}  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("start", [b"* 1 FETCH (UID 10 ", b'* 1 FETCH (UID 10 BODY[] "', b"* 1 FETCH (UID 10 {"])
def test_srv1_hostile_fetch_lines_are_read_in_linear_time(start: bytes, part: bytes) -> None:
    few, many = (steps(start + part * amount + b"}") for amount in (1500, 3000))
    assert many <= 2.2 * few + 200
    # An expression that went back over the text would not end within the suite's time for a test.
    steps(start + part * 20_000 + b"x}")
