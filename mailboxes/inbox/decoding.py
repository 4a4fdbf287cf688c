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
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bq])\?(.{0,1000}?)\?=", re.IGNORECASE)
_RAW_WORD = re.compile(rb"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_NOT_BASE64 = bytes(set(range(256)) - set((string.ascii_letters + string.digits + "+/").encode()))
_BREAKS = re.compile(r"\r\n?|[\u2028\u2029]")
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# What nobody sees makes a name or subject look like another: turns of the reading direction, and characters without a
# width. Joiners and variation selectors stay between letters and pictures of the scripts that are written with them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_JOINERS = re.compile(
    "(?<![^\x00-\u024f\u2000-\u206f])[\u200c\u200d\ufe00-\ufe0f]|[\u200c\u200d](?![^\x00-\u024f\u2000-\u206f])"
)


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
    # What is called UTF-8 and is none was made by a program of Windows' or Unix' western editions.
    return "".join(guess(data) if charset.startswith("utf-8") else decode(data, charset) for charset, data in runs)


def quote_raw_words(data: bytes) -> bytes:
    """Return a header's value in which encoded words of raw 8-bit bytes, which RFC 2047 forbids, are encoded: as UTF-8
    where they are that, else in the character set that they name."""
    return data if data.isascii() else _RAW_WORD.sub(_quoted_word, data)


def _quoted_word(word: re.Match[bytes]) -> bytes:
    charset, encoding, content = word.groups()
    if content.isascii():
        return word.group()
    raw = binascii.a2b_qp(content, header=True) if encoding in b"qQ" else content
    charset = b"utf-8" if _is_utf8(raw) else charset
    return b"=?%b?q?%b?=" % (charset, b"".join(b"=%02X" % byte for byte in raw))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _append(runs: list[tuple[str, bytes]], charset: str, data: bytes) -> None:
    if runs and runs[-1][0] == charset:
        data = runs.pop()[1] + data
    runs.append((charset, data))


def _word_bytes(encoding: str, content: str) -> bytes:
    raw = content.encode("ascii", "ignore")
    return unbase64(raw) if encoding in "bB" else binascii.a2b_qp(raw, header=True)


def one_line(text: str, most: int) -> str:
    """`text` on one line with single spaces and nothing invisible, fit to store, at most `most` characters."""
    return " ".join(_JOINERS.sub("", _INVISIBLE.sub("", fit(text))).split())[:most].rstrip()


def fit(text: str) -> str:
    """`text` with newlines as its only line breaks, and no control character but those and tabs."""
    return _UNFIT.sub("", _BREAKS.sub("\n", text))
