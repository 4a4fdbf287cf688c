"""IMAP as far as a mailbox needs it: greeting, STARTTLS, AUTHENTICATE, SELECT, one search (RFC 3501, 9051).

Generators without I/O; `dialogue.converse` drives them. One login attempt with one mechanism.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field

from mailboxes.wire import sasl
from mailboxes.wire.clean import refuse_control
from mailboxes.wire.dialogue import Action, Dialogue, Pause, Read, Send, Upgrade
from mailboxes.wire.imap_reply import ImapReply
from mailboxes.wire.utf7 import decode_folder, encode_folder
from mailboxes.wire.values import Login, SecretKind, Security, Stage, WireFault

ARRIVAL_LOOKS = 6
MOST_FOLDERS = 200
ARRIVAL_EVERY_S = 1.0

_ESCAPED = re.compile(r"\\(.)")
_LISTED = re.compile(r'\(([^)]*)\) (?:NIL|"(?:[^"\\]|\\.)*") (?:"((?:[^"\\]|\\.)*)"|(\S+))\s*$', re.IGNORECASE)

Collected = Generator[Action, ImapReply, list[ImapReply]]
Final = Generator[Action, ImapReply, ImapReply]


@dataclass
class ImapSession:
    """One session's steps, to be chained by `yield from`: open, authenticate, select, search."""

    security: Security
    capabilities: frozenset[str] = frozenset()
    _tag: int = field(default=0, repr=False)
    _introduced: bool = field(default=False, repr=False)

    def open(self) -> Dialogue[ImapReply]:
        """Greeting, STARTTLS where the endpoint wants it, capabilities."""
        greeting = yield Read(Stage.GREETING)
        if greeting.status == "PREAUTH":
            # A session that is logged in already would skip STARTTLS (FACTS D7).
            raise WireFault(Stage.GREETING, "PREAUTH", "the server greets with PREAUTH: refused")
        if greeting.tag != "*" or greeting.status != "OK":
            code = "NOT_IMAP" if greeting.status not in ("BYE", "NO", "BAD") else greeting.codes
            raise WireFault(Stage.GREETING, code, greeting.line)
        if self.security is Security.STARTTLS:
            yield from self.ask_capabilities()
            yield from self._starttls()
            yield from self.ask_capabilities()
        elif greeting.code.startswith("CAPABILITY"):
            self.capabilities = frozenset(greeting.code.upper().split()[1:])
        else:
            yield from self.ask_capabilities()

    def authenticate(self, login: Login) -> Dialogue[ImapReply]:
        """Log in once, by the one mechanism that fits; LOGIN the command only where no AUTH= is offered."""
        offered = {name.removeprefix("AUTH=") for name in self.capabilities if name.startswith("AUTH=")}
        mechanism = sasl.choose(login, offered)
        if mechanism is not None:
            final = yield from self._authenticate(mechanism, login)
        elif login.kind is SecretKind.PASSWORD and "LOGINDISABLED" not in self.capabilities:
            final = yield from self._login(login)
        else:
            raise WireFault(Stage.AUTH, self._refusal_code(), self._offer(offered))
        expect_ok(final, Stage.AUTH)
        if final.code.upper().startswith("CAPABILITY"):  # some offer more to those who have logged in
            self.capabilities = frozenset(final.code.upper().split()[1:])

    def select(self, folder: str) -> Collected:
        """Open the folder; what the server says of it. ID is told first where the server knows it: NetEase wants it
        (FACTS B9)."""
        refuse_control(folder, "folder")
        told = [b'ID ("name" "postmend")'] if "ID" in self.capabilities and not self._introduced else []
        self._introduced = True
        replies = yield from self.command(Stage.SELECT, *told, b"SELECT " + quoted(encode_folder(folder)))
        expect_ok(replies[-1], Stage.SELECT)
        return replies

    def folders(self) -> Generator[Action, ImapReply, dict[str, str]]:
        """The folders that can be opened, named as people read them, each with its attributes in lower case
        (RFC 3501 6.3.8; `\\sent` and `\\junk` where the server tells them, RFC 6154)."""
        *untagged, final = yield from self.command(Stage.SELECT, b'LIST "" "*"')
        expect_ok(final, Stage.SELECT)
        found = (_LISTED.match(reply.text) for reply in untagged if reply.status == "LIST")
        named = {_folder_name(match): match.group(1).lower() for match in found if match}
        return {name: attributes for name, attributes in named.items() if "\\noselect" not in attributes}

    def refresh(self) -> Dialogue[ImapReply]:
        """Have the server look for new messages: Dovecot's SEARCH finds what was there at SELECT or NOOP."""
        *_, final = yield from self.command(Stage.READ, b"NOOP")
        expect_ok(final, Stage.READ)

    def search_message(self, message_id: str) -> Generator[Action, ImapReply, list[int]]:
        """UIDs of the messages with this Message-ID in the selected folder."""
        term = quoted(refuse_control(message_id, "Message-ID"))
        *untagged, final = yield from self.command(Stage.READ, b"UID SEARCH HEADER Message-ID " + term)
        expect_ok(final, Stage.READ)
        hits = [reply.text.split() for reply in untagged if reply.status == "SEARCH"]
        return [int(word) for words in hits for word in words if is_number(word)]

    def ask_capabilities(self, stage: Stage = Stage.GREETING) -> Dialogue[ImapReply]:
        """Ask what the server can do; before and after a login the answers may differ."""
        *untagged, final = yield from self.command(stage, b"CAPABILITY")
        expect_ok(final, stage)
        lists = [reply.text.upper().split() for reply in untagged if reply.status == "CAPABILITY"]
        self.capabilities = frozenset(word for words in lists for word in words)

    def _starttls(self) -> Dialogue[ImapReply]:
        if "STARTTLS" not in self.capabilities:
            raise WireFault(Stage.TLS, "STARTTLS_NOT_OFFERED", "STARTTLS not supported by server")
        *_, final = yield from self.command(Stage.TLS, b"STARTTLS")
        expect_ok(final, Stage.TLS)
        self.capabilities = frozenset()
        yield Upgrade()

    def _authenticate(self, mechanism: str, login: Login) -> Final:
        first = {"PLAIN": sasl.plain, "XOAUTH2": sasl.xoauth2}.get(mechanism)
        answers = list(sasl.login_answers(login)) if first is None else [first(login)]
        command = f"AUTHENTICATE {mechanism}".encode()
        if first is not None and "SASL-IR" in self.capabilities:
            command += b" " + answers.pop(0)
        tag = self._next_tag()
        reply = yield Send(Stage.AUTH, tag.encode() + b" " + command + b"\r\n")
        heard: list[ImapReply] = []
        while reply.tag != tag:
            if reply.tag == "+":
                reason = "" if answers else sasl.explain_challenge(reply.text)
                heard += [ImapReply("*", "NO", "", reason)] if reason else []
                # Past the last answer the server tells its reason and waits for an empty line (FACTS A17).
                reply = yield Send(Stage.AUTH, (answers.pop(0) if answers else b"") + b"\r\n")
            else:
                heard.append(_not_bye(reply, Stage.AUTH, heard))
                reply = yield Read(Stage.AUTH)
        return _with_reasons(reply, heard)

    def _login(self, login: Login) -> Final:
        words = b" ".join(quoted(refuse_control(word, "login")) for word in (login.username, login.secret))
        *heard, final = yield from self.command(Stage.AUTH, b"LOGIN " + words)
        return _with_reasons(final, heard)

    def command(self, stage: Stage, *commands: bytes) -> Collected:
        """Send commands at once (RFC 3501 5.5); all their replies, the last one's tagged one at the end."""
        tagged = [(self._next_tag(), command) for command in commands]
        tag = tagged[-1][0]
        reply = yield Send(stage, b"".join(name.encode() + b" " + command + b"\r\n" for name, command in tagged))
        heard = [reply]
        while reply.tag != tag:
            _not_bye(reply, stage, heard[:-1])
            reply = yield Read(stage)
            heard.append(reply)
        return heard

    def _next_tag(self) -> str:
        self._tag += 1
        return f"A{self._tag}"

    def _refusal_code(self) -> str:
        return "LOGINDISABLED" if "LOGINDISABLED" in self.capabilities else "AUTH_NOT_OFFERED"

    def _offer(self, offered: set[str]) -> str:
        return "no usable login method: the server offers " + (", ".join(sorted(offered)) or "none")


def check(
    login: Login,
    security: Security,
    folder: str,
    message_id: str | None = None,
    folders: list[str] | None = None,
) -> Dialogue[ImapReply]:
    """A check of the IMAP leg: open, log in, open the folder, and on request look for one message.

    Where a list is given and the folder does not open, the server's own folders are put into it.
    """
    session = ImapSession(security)
    yield from session.open()
    yield from session.authenticate(login)
    try:
        yield from session.select(folder)
    except WireFault:
        if folders is not None:
            yield from _offered(session, folders)
        raise
    if message_id is not None:
        yield from await_message(session, message_id)


def _offered(session: ImapSession, folders: list[str]) -> Dialogue[ImapReply]:
    """The folders that could be opened, as far as the server tells them: a help, and no part of the check."""
    with suppress(WireFault):
        folders += list((yield from session.folders()))[:MOST_FOLDERS]


def await_message(session: ImapSession, message_id: str) -> Dialogue[ImapReply]:
    """Look for the message until it has come to the selected folder; WireFault where it does not."""
    for _look in range(ARRIVAL_LOOKS):
        if (yield from session.search_message(message_id)):
            return
        yield Pause(ARRIVAL_EVERY_S)
        yield from session.refresh()
    raise WireFault(Stage.READ, "NOT_ARRIVED", "the test message has not arrived in the folder yet")


def is_number(word: str) -> bool:
    """True for a number as servers give them; a stranger's may have any length."""
    return word.isascii() and word.isdigit() and len(word) < 12


def quoted(text: str) -> bytes:
    """A quoted string of RFC 3501; the caller has refused control characters."""
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def _folder_name(listed: re.Match[str]) -> str:
    """A line of LIST as a name; names sent as literals are read over by the parser and left out before."""
    quoted_name, atom = listed.group(2), listed.group(3)
    return decode_folder(_ESCAPED.sub(r"\1", quoted_name) if quoted_name is not None else atom)


def expect_ok(final: ImapReply, stage: Stage) -> None:
    """Raises WireFault where the server said anything else."""
    if final.status != "OK":
        raise WireFault(stage, final.codes, final.line)


def _not_bye(reply: ImapReply, stage: Stage, heard: list[ImapReply]) -> ImapReply:
    if reply.tag == "*" and reply.status == "BYE":
        final = _with_reasons(reply, heard)
        raise WireFault(stage, final.codes, final.line)
    return reply


def _with_reasons(final: ImapReply, heard: list[ImapReply]) -> ImapReply:
    """The final reply with what untagged NO and BAD said before it: there stands the cause (Google's WEBALERT)."""
    if final.status == "OK":
        return final
    reasons = [reply.line for reply in heard if reply.status in ("NO", "BAD", "BYE")]
    text = "\n".join([final.text, *reasons])
    return ImapReply(final.tag, final.status, final.code, text)
