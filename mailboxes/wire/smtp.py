"""SMTP as far as a mailbox needs it: greeting, EHLO, STARTTLS, AUTH, one message (RFC 5321, 3207, 4954).

Generators without I/O; `dialogue.converse` drives them. One AUTH attempt with one mechanism.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, field

from mailboxes.wire import sasl
from mailboxes.wire.clean import refuse_path
from mailboxes.wire.dialogue import Action, Dialogue, ProtocolFault, Read, Send, Upgrade
from mailboxes.wire.values import Letter, Limits, Login, Security, Stage, WireFault

_LINE = re.compile(rb"^(\d{3})([ -]?)(.*)$", re.DOTALL)
_SIZE = re.compile(r"[0-9]{1,18}")
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """A whole reply: its code and its lines without the code."""

    code: int
    lines: tuple[str, ...]

    @property
    def positive(self) -> bool:
        """2xx."""
        return 200 <= self.code < 300

    @property
    def codes(self) -> str:
        """The code with the enhanced code of RFC 3463, where there is one: "535 5.7.8"."""
        found = _ENHANCED.match(self.lines[0]) if self.lines else None
        return f"{self.code} {found.group(1)}" if found else str(self.code)

    @property
    def text(self) -> str:
        """The reply as it came, each line with its code."""
        last = len(self.lines) - 1
        return "\n".join(f"{self.code}{' ' if at == last else '-'}{line}" for at, line in enumerate(self.lines))


class SmtpParser:
    """Bytes to replies, within limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._heard: list[re.Match[bytes]] = []  # the lines of a reply
        self._size = 0

    @property
    def unread(self) -> bytes:
        """Bytes that belong to no reply yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        self._buffer += data

    def next_reply(self) -> SmtpReply | None:
        """The next whole reply, or None."""
        while (line := self._next_line()) is not None:
            found = _LINE.match(line)
            if found is None:
                raise ProtocolFault("NOT_SMTP", line)
            self._heard.append(found)
            if found.group(2) != b"-":
                heard, self._heard, self._size = self._heard, [], 0
                return _reply_of(heard)
        return None

    def early(self) -> bytes:
        """All that is there, but a 421, which a server may send at any time (RFC 5321 3.8)."""
        return b"" if self._buffer.startswith(b"421") else bytes(self._buffer)

    def _next_line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > self._limits.line_bytes:
                raise ProtocolFault("LINE_TOO_LONG", bytes(self._buffer))
            return None
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        self._size += len(line)
        if len(line) > self._limits.line_bytes or self._size > self._limits.reply_bytes:
            raise ProtocolFault("REPLY_TOO_LONG", line)
        return line


@dataclass
class SmtpSession:
    """One session's steps, to be chained by `yield from`: open, authenticate, submit, quit."""

    security: Security
    ehlo_name: str
    extensions: dict[str, frozenset[str]] = field(default_factory=dict)
    body_sent: bool = False  # from then on the server may have taken the message, whatever is heard of it

    def open(self) -> Dialogue[SmtpReply]:
        """Greeting and EHLO; STARTTLS where the endpoint wants it, and EHLO anew after it."""
        yield from self.greet()
        if self.security is Security.STARTTLS:
            yield from self.start_tls()

    def greet(self) -> Dialogue[SmtpReply]:
        """Greeting and EHLO."""
        reply = yield Read(Stage.GREETING)
        _expect(reply, Stage.GREETING, reply.code == 220)
        yield from self._ehlo()

    def authenticate(self, login: Login) -> Dialogue[SmtpReply]:
        """Log in once, by the one mechanism that fits."""
        mechanism = sasl.choose(login, self.extensions.get("AUTH", frozenset()))
        if mechanism is None:
            raise WireFault(Stage.AUTH, "AUTH_NOT_OFFERED", self._offer())
        if mechanism == "LOGIN":
            reply = yield from _auth_login(login)
        elif mechanism == "XOAUTH2":
            reply = yield from _auth_xoauth2(login)
        else:
            reply = yield Send(Stage.AUTH, b"AUTH PLAIN " + sasl.plain(login) + b"\r\n")
        _expect(reply, Stage.AUTH, reply.code == 235)

    def submit(self, message: Letter) -> Dialogue[SmtpReply]:
        """Send one message to one recipient. Positive reply to its final dot, or WireFault."""
        sender = refuse_path(message.sender, "sender")
        recipient = refuse_path(message.recipient, "recipient")
        if why := self.unfit(message):
            raise WireFault(Stage.MAIL, "MESSAGE_UNFIT", why)
        reply = yield Send(Stage.MAIL, f"MAIL FROM:<{sender}>{self._parameters(message)}\r\n".encode())
        _expect(reply, Stage.MAIL, reply.positive)
        reply = yield Send(Stage.RCPT, f"RCPT TO:<{recipient}>\r\n".encode())
        _expect(reply, Stage.RCPT, reply.positive)
        reply = yield Send(Stage.DATA, b"DATA\r\n")
        _expect(reply, Stage.DATA, reply.code == 354)
        self.body_sent = True
        reply = yield Send(Stage.DATA, dot_stuffed(message.body))
        _expect(reply, Stage.DATA, reply.positive)

    def unfit(self, message: Letter) -> str:
        """Return why this server cannot take the message, by what it said after EHLO; "" where it can."""
        if message.needs_utf8 and "SMTPUTF8" not in self.extensions:
            return (
                "The server takes no address with letters other than A to Z before the @ (it does not offer SMTPUTF8)."
            )
        most = next((int(word) for word in self.extensions.get("SIZE", ()) if _SIZE.fullmatch(word)), 0)
        if most and len(message.body) > most:  # 0 sets no limit (RFC 1870)
            return f"The message has {len(message.body)} bytes, and the server takes at most {most}."
        return ""

    def _parameters(self, message: Letter) -> str:
        """What MAIL FROM tells of the message, as far as the server asks for it (RFC 1870, 6152, 6531)."""
        is_eight_bit = not message.body.isascii() and "8BITMIME" in self.extensions
        told = {
            f" SIZE={len(message.body)}": "SIZE" in self.extensions,
            " BODY=8BITMIME": is_eight_bit,
            " SMTPUTF8": message.needs_utf8,
        }
        return "".join(parameter for parameter, is_told in told.items() if is_told)

    def _ehlo(self) -> Dialogue[SmtpReply]:
        reply = yield Send(Stage.GREETING, f"EHLO {self.ehlo_name}\r\n".encode())
        _expect(reply, Stage.GREETING, reply.positive)
        self.extensions = parse_extensions(reply.lines[1:])

    def start_tls(self) -> Dialogue[SmtpReply]:
        """STARTTLS, and EHLO anew."""
        if "STARTTLS" not in self.extensions:
            text = "STARTTLS extension not supported by server"
            raise WireFault(Stage.TLS, "STARTTLS_NOT_OFFERED", text)
        reply = yield Send(Stage.TLS, b"STARTTLS\r\n")
        _expect(reply, Stage.TLS, reply.code == 220)
        yield Upgrade()
        yield from self._ehlo()

    def _offer(self) -> str:
        offered = self.extensions.get("AUTH", frozenset())
        if not offered:
            return "the server offers no login (no AUTH extension after EHLO)"
        return "no usable login method: the server offers " + ", ".join(sorted(offered))


def check(login: Login, security: Security, ehlo_name: str, message: Letter | None = None) -> Dialogue[SmtpReply]:
    """A check of the SMTP leg: open, log in, and on request send one message."""
    session = SmtpSession(security, ehlo_name)
    yield from session.open()
    yield from session.authenticate(login)
    if message is not None:
        yield from session.submit(message)


def parse_extensions(lines: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """EHLO lines as keyword to parameters, upper case; the old `AUTH=PLAIN` spelling counts as AUTH."""
    found: dict[str, frozenset[str]] = {}
    for line in lines:
        keyword, *words = line.upper().replace("AUTH=", "AUTH ").split() or [""]
        found[keyword] = found.get(keyword, frozenset()) | frozenset(words)
    return found


def dot_stuffed(body: bytes) -> bytes:
    """The message for DATA: CRLF line ends, leading dots doubled, closed by a dot (RFC 5321 4.5.2)."""
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n")
    stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
    return b"\r\n".join(stuffed) + b"\r\n.\r\n"


def _reply_of(heard: list[re.Match[bytes]]) -> SmtpReply:
    """The reply of these lines. Raises ProtocolFault where their codes differ: RFC 5321 4.2.1 forbids it, and either
    of them could be meant."""
    codes = {line.group(1) for line in heard}
    if len(codes) > 1:
        raise ProtocolFault("MIXED_CODES", b"\n".join(line.group() for line in heard))
    return SmtpReply(int(codes.pop()), tuple(line.group(3).decode("utf-8", "replace") for line in heard))


def _auth_login(login: Login) -> Generator[Action, SmtpReply, SmtpReply]:
    user, secret = sasl.login_answers(login)
    reply = yield Send(Stage.AUTH, b"AUTH LOGIN\r\n")
    for answer in (user, secret):
        _expect(reply, Stage.AUTH, reply.code == 334)
        reply = yield Send(Stage.AUTH, answer + b"\r\n")
    return reply


def _auth_xoauth2(login: Login) -> Generator[Action, SmtpReply, SmtpReply]:
    reply = yield Send(Stage.AUTH, b"AUTH XOAUTH2 " + sasl.xoauth2(login) + b"\r\n")
    if reply.code != 334:
        return reply
    # The reason stands in the challenge; an empty answer brings the final refusal (FACTS A16).
    reason = sasl.explain_challenge(reply.lines[0])
    final = yield Send(Stage.AUTH, b"\r\n")
    return SmtpReply(final.code, (*final.lines, reason)) if reason else final


def _expect(reply: SmtpReply, stage: Stage, ok: bool) -> None:
    if not ok:
        raise WireFault(stage, reply.codes, reply.text)
