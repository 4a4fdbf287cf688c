"""The text that a person reads in a message.

The standard library's HTML parser takes quadratic time for a page of unclosed tags, and `html.unescape` raises for a
long number; what is needed here is less, so tags are taken out by expressions that run in linear time.
"""

from __future__ import annotations

import html
import re

from mailboxes.inbox.decoding import decode, fit
from mailboxes.inbox.parts import Part, body, header, param

TEXT_CHARS = 65_536
_HTML_CHARS = 4 * TEXT_CHARS
_UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|title)\b.*?(?:</\1[^<>]*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[a-z/!?](?:(?:[^<>\"']|\"[^\"]{0,2000}\"|'[^']{0,2000}')*>|[^<>]*>)", re.IGNORECASE)
_NAME = re.compile(r"</?([a-z][a-z0-9]*)", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"&#[0-9]{8,};?")
# Blocks that follow each other stand on lines of their own; these have an empty line after them too.
_BLOCKS = frozenset(
    "address article aside body center dd div dl dt fieldset figure footer form header li main nav section tr".split()
)
_PARAGRAPHS = frozenset("blockquote h1 h2 h3 h4 h5 h6 hr ol p pre table ul".split())
_BLOCK = "\0"
_BLOCK_BREAKS = re.compile(r"\0[\0 ]*")


def text_of(message: Part) -> str:
    """What a person reads, at most 65,536 characters: plain text where there is any, else HTML as text."""
    return _text(message)[:TEXT_CHARS].strip()


def _text(part: Part) -> str:
    kind = part.get_content_type()
    if kind.startswith("multipart/"):
        return _together(kind, part.inside)
    if param(part, "filename", "content-disposition") or header(part, "Content-Disposition").startswith("attach"):
        return ""
    if kind not in ("text/plain", "text/html"):
        return ""
    text = decode(body(part), param(part, "charset"))
    return html_text(text) if kind == "text/html" else fit(text)[:TEXT_CHARS]


def _together(kind: str, inside: list[Part]) -> str:
    if kind == "multipart/alternative":
        inside = sorted(inside, key=lambda part: part.get_content_type() != "text/plain")
    texts = (text for part in inside if (text := _text(part)).strip())
    if kind in ("multipart/alternative", "multipart/related"):
        return next(texts, "")
    return "\n".join(texts)


def html_text(page: str) -> str:
    """A page's words without its tags, scripts and styles; block elements begin a new line."""
    page = _UNSEEN.sub("", " ".join(fit(page[:_HTML_CHARS]).split()))
    words = html.unescape(
        _LONG_NUMBER.sub("\N{REPLACEMENT CHARACTER}", _BLOCK_BREAKS.sub("\n", _TAG.sub(_break, page)))
    )
    lines: list[str] = []
    for line in (" ".join(line.split()) for line in fit(words).split("\n")):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines)[:TEXT_CHARS].strip()


def _break(tag: re.Match[str]) -> str:
    found = _NAME.match(tag.group())
    name = found.group(1).lower() if found else ""
    if name in _PARAGRAPHS:
        return f"{_BLOCK}\n" if tag.group().startswith("</") else _BLOCK
    if name in _BLOCKS:
        return _BLOCK
    return {"br": "\n", "td": " ", "th": " "}.get(name, "")
