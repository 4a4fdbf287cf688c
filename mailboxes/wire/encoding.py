"""Text as 7-bit lines of at most 76 columns: encoded words (RFC 2047) and transfer encodings (RFC 2045 6). Pure."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Callable, Iterator

_ENCODED_WORD_CHARS = 66  # beside "Reply-To: " it stays within 76 columns, which RFC 2047 sets
_LINE = 76
_IN_PHRASES = frozenset(string.ascii_letters + string.digits + "!*+-/")  # RFC 2047 5(3)
_LITERALS = bytes({*range(32, 127), *b"\t\r\n"} - set(b"="))
_PLAIN_LINE = re.compile(r"(?!\.|From )(?:[\t -~]{0,75}[!-~])?")


def encode_words(text: str) -> list[str]:
    """Return `text` as encoded words, in whichever of the two encodings is shorter; no character is cut in two."""
    encode = min((_q_word, _b_word), key=lambda one: len(one(text)))
    return list(_words(text, encode))


def _words(text: str, encode: Callable[[str], str]) -> Iterator[str]:
    chunk = ""
    for char in text:
        if len(encode(chunk + char)) > _ENCODED_WORD_CHARS:
            yield encode(chunk)
            chunk = ""
        chunk += char
    yield encode(chunk)


def _q_word(text: str) -> str:
    return f"=?utf-8?q?{''.join(map(_q_char, text))}?="


def _q_char(char: str) -> str:
    if char == " ":
        return "_"
    return char if char in _IN_PHRASES else "".join(f"={byte:02X}" for byte in char.encode())


def _b_word(text: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


def encode_text(text: str) -> tuple[str, bytes]:
    """Return the transfer encoding and the encoded text, which ends with a line break.

    What is plain goes as it is: short lines of ASCII that no server changes on the way, as some do with a leading dot
    or "From ", and with spaces at the end.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    if all(_PLAIN_LINE.fullmatch(line) for line in lines):
        return "7bit", "".join(f"{line}\r\n" for line in lines).encode()
    data = "".join(f"{line}\r\n" for line in lines).encode()
    # Each byte that is quoted takes two more; base64 takes a third more of all.
    if 2 * len(data.translate(None, _LITERALS)) < len(data) / 3:
        return "quoted-printable", "".join(f"{part}\r\n" for line in lines for part in _quoted(line.encode())).encode()
    whole = base64.b64encode(data)
    return "base64", b"".join(whole[at : at + _LINE] + b"\r\n" for at in range(0, len(whole), _LINE))


def _quoted(line: bytes) -> Iterator[str]:
    """A line as lines of quoted-printable, each but the last with a soft break."""
    out = ""
    for at, byte in enumerate(line):
        begins = not out and (byte == ord(".") or line.startswith(b"From ", at))
        unit = f"={byte:02X}" if begins or not _is_literal(byte, last=at == len(line) - 1) else chr(byte)
        if len(out) + len(unit) >= _LINE:
            yield f"{out}="
            out = f"={byte:02X}" if byte == ord(".") or line.startswith(b"From ", at) else unit
        else:
            out += unit
    yield out


def _is_literal(byte: int, *, last: bool) -> bool:
    return byte != ord("=") and (33 <= byte <= 126 or (byte in b" \t" and not last))
