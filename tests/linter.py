"""A strict reader of what Postmend sends, by the text of the RFCs. It shares no code with the builder."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri
import re
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import parseaddr

_WORD = re.compile(rb"=\?([^?\s]+)\?([bBqQ])\?([^?\s]*)\?=")
_ONCE = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type")
STRICT = email.policy.SMTP.clone(raise_on_defect=True, utf8=True)


def faults(raw: bytes, *, utf8: bool = False) -> list[str]:
    """Everything that RFC 5322, 2045, 2047 or 5321 forbid in a message, or advise against; empty where there is none.
    `utf8` allows letters of other scripts in header fields (RFC 6532)."""
    head, _, body = raw.partition(b"\r\n\r\n")
    found = [*_bytes(raw, head, body, utf8), *_header(head)]
    return [*found, *(fault for part in _parts(raw) for fault in _body(*part))]


def _bytes(raw: bytes, head: bytes, body: bytes, utf8: bool) -> list[str]:
    found = []
    if re.search(rb"(?<!\r)\n|\r(?!\n)", raw):
        found.append("a bare CR or LF")
    if not raw.endswith(b"\r\n"):
        found.append("the last line does not end")
    if b"\0" in raw or re.search(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]", raw):
        found.append("a control character")
    if not body.isascii() or not (utf8 or head.isascii()):
        found.append("8-bit data")
    found += [f"a line of {len(line)}" for line in raw.split(b"\r\n") if len(line) > 998]
    return found


def _header(head: bytes) -> list[str]:
    found, names = [], []
    for block in re.split(rb"\r\n(?![ \t])", head):
        name, colon, value = block.partition(b":")
        names.append(name.lower())
        if not colon or not re.fullmatch(rb"[!-9;-~]+", name):
            found.append(f"no header field: {block[:40]!r}")
        found += _lines(name, block.split(b"\r\n"))
        found += _words(value)
    found += [f"{name.decode()} stands {names.count(name)} times" for name in _ONCE if names.count(name) != 1]
    return found


def _lines(name: bytes, lines: list[bytes]) -> list[str]:
    """78 columns at most, unless there is nowhere to fold; no line of white space alone."""
    found = []
    for number, line in enumerate(lines):
        content = line[len(name) + 1 :] if number == 0 else line
        if not content.strip() and (content or len(lines) > 1):
            found.append(f"an empty line in {name.decode()}")
        if len(line) > 78 and b" " in content.strip():
            found.append(f"a line of {len(line)} in {name.decode()} that can be folded")
        if line != line.rstrip():
            found.append(f"trailing space in {name.decode()}")
        if _WORD.search(line) and len(line) > 76:
            found.append(f"a line of {len(line)} with an encoded word")
    return found


def _words(value: bytes) -> list[str]:
    found = []
    for token in value.split():
        if b"=?" not in token:
            continue
        word = _WORD.fullmatch(token)
        if word is None:
            found.append(f"a broken encoded word {token!r}")
        elif len(token) > 75:
            found.append(f"an encoded word of {len(token)}")
        else:
            data = base64.b64decode(word[3], validate=True) if word[2] in b"bB" else _q(word[3])
            data.decode(word[1].decode())  # whole characters
    return found


def _q(content: bytes) -> bytes:
    assert re.fullmatch(rb"(?:=[0-9A-F]{2}|[A-Za-z0-9!*+/_-])*", content), content
    return quopri.decodestring(content, header=True)


def _parts(raw: bytes) -> list[tuple[str, bytes]]:
    """Each leaf's transfer encoding and encoded bytes, cut out by hand at the boundary."""
    head, _, body = raw.partition(b"\r\n\r\n")
    boundary = re.search(rb'(?im)^content-type: multipart/[^;]+;\s+boundary="([^"]{1,70})"', head)
    if boundary is None:
        encoding = re.search(rb"(?im)^content-transfer-encoding: *(\S+)", head)
        return [(encoding[1].decode() if encoding else "7bit", body)]
    mark = b"--" + boundary[1]
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    assert pieces[0].strip() == b"" and pieces[-1].startswith(b"--"), "the boundaries do not fit"
    return [leaf for piece in pieces[1:-1] for leaf in _parts(piece.removeprefix(b"\r\n") + b"\r\n")]


def _body(encoding: str, body: bytes) -> list[str]:
    lines = body.removesuffix(b"\r\n").split(b"\r\n")
    found = [f"an encoded line of {len(line)}" for line in lines if len(line) > 76]
    if encoding == "quoted-printable":
        found += [f"no quoted-printable: {line!r}" for line in lines if not re.fullmatch(_QP, line)]
        found += [f"a space at the end: {line!r}" for line in lines if line[-1:] in (b" ", b"\t")]
    elif encoding == "base64":
        base64.b64decode(b"".join(lines), validate=True)
    elif encoding == "7bit":
        found += [f"changed on the way: {line!r}" for line in lines if re.match(rb"From |\.|.*[ \t]$", line)]
    else:
        found.append(f"transfer encoding {encoding}")
    return found


_QP = rb"(?:=[0-9A-F]{2}|[\t -<>-~])*=?"


def read(raw: bytes, *, utf8: bool = False) -> EmailMessage:
    """The message by the standard library's strict reader, which raises for every defect that it knows. It calls an
    address of another script a defect even where `utf8` allows it."""
    found = email.message_from_string(raw.decode(), policy=STRICT) if utf8 else _read(raw)
    assert isinstance(found, EmailMessage)
    for part in found.walk():
        for value in part.values():
            kinds = {type(defect).__name__ for defect in getattr(value, "defects", ())}
            assert kinds <= ({"NonASCIILocalPartDefect"} if utf8 else set()), value
        assert not part.defects
    return found


def _read(raw: bytes) -> Message:
    return email.message_from_bytes(raw, policy=STRICT)


def name_of(raw: bytes) -> tuple[str, str]:
    """The sender's name and address. The strict reader of Python 3.11 keeps the space between two encoded words of a
    name, which RFC 2047 6.2 forbids; the older one does not."""
    name, address = parseaddr(str(email.message_from_bytes(raw)["From"]))
    return str(make_header(decode_header(name))), address


def text_of(message: EmailMessage, subtype: str = "plain") -> str:
    """The text of a message, with newlines."""
    part = message.get_body((subtype,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")
