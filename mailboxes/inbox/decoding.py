"""A stranger's bytes as text: character sets, encoded words, and no character that a page or a table cannot hold."""

from __future__ import annotations

import binascii
import codecs
import re
import string

# Python knows more codecs than mail does: some are slow or warn, and each unknown name stays in its memory for good.
_KNOWN = re.compile(
    r"utf-?(?:7|8|16|32)(?:-?[bl]e)?|iso-?8859-?(?:[2-9]|1\d)|(?:windows|cp|ibm)-?\d{3,4}|koi8-[rut]|gb(?:2312|k|18030)"
    r"|big5(?:-?hkscs)?|shift-?jis|sjis|euc-(?:jp|kr)|iso-2022-(?:jp|kr)|ks-c-5601-1987|tis-620|macintosh"
)
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "ks-c-5601-1987": "cp949", "euc-kr": "cp949", "shift-jis": "cp932"}
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bq])\?(.*?)\?=", re.IGNORECASE)
_NOT_BASE64 = bytes(set(range(256)) - set((string.ascii_letters + string.digits + "+/").encode()))
_BREAKS = re.compile(r"\r\n?|[\u2028\u2029]")
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# These turn the reading direction, with which a name or subject can be made to look like another.
_TURNS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


def decode(data: bytes, charset: str) -> str:
    """The text of `data`; what cannot be read is replaced."""
    name = charset.lower().replace("_", "-").split("*")[0]
    if _KNOWN.fullmatch(name):
        try:
            return data.decode(_WIDER.get(name, name), "replace")
        except LookupError:
            pass
    return guess(data)


def guess(data: bytes) -> str:
    """UTF-8 where it is (cut at the end or not), else the character set of Windows' western editions."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
    only_the_end_is_odd = text.isascii() and decoder.getstate()[0]
    return data.decode("cp1252", "replace") if only_the_end_is_odd else text


def raw_bytes(text: str) -> bytes:
    """The bytes from which the standard library made `text`."""
    return text.encode("utf-8", "surrogateescape")


def unbase64(data: bytes) -> bytes:
    """Base64 as far as it goes: it may be cut, or stand among what is no base64."""
    letters = data.lstrip().partition(b"=")[0].translate(None, _NOT_BASE64)
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def header_text(value: str) -> str:
    """A header's value with its encoded words decoded; a character cut in two between two of them is whole again."""
    runs: list[tuple[str, bytes]] = []
    end = 0
    for word in _ENCODED_WORD.finditer(value):
        gap = value[end : word.start()]
        if gap.strip() or (gap and not runs):
            runs.append(("utf-8", gap.encode()))
        _append(runs, word.group(1).lower(), _word_bytes(word.group(2), word.group(3)))
        end = word.end()
    runs.append(("utf-8", value[end:].encode()))
    return "".join(decode(data, charset) for charset, data in runs)


def _append(runs: list[tuple[str, bytes]], charset: str, data: bytes) -> None:
    if runs and runs[-1][0] == charset:
        data = runs.pop()[1] + data
    runs.append((charset, data))


def _word_bytes(encoding: str, content: str) -> bytes:
    raw = content.encode("ascii", "ignore")
    return unbase64(raw) if encoding in "bB" else binascii.a2b_qp(raw, header=True)


def one_line(text: str, most: int) -> str:
    """`text` on one line with single spaces, fit to store, at most `most` characters."""
    return " ".join(_TURNS.sub("", fit(text)).split())[:most].rstrip()


def fit(text: str) -> str:
    """`text` with newlines as its only line breaks, and no control character but those and tabs."""
    return _UNFIT.sub("", _BREAKS.sub("\n", text))
