"""The sandbox's IMAP server."""

from __future__ import annotations

import re

from mailboxes.sandbox.account import Message
from mailboxes.sandbox.session import HangUp, Session
from mailboxes.wire.values import Security

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"()]+)')


class ImapSession(Session):
    """One IMAP connection."""

    leg = "imap"
    folder: str | None = None

    async def talk(self) -> None:
        if self.fault.greeting:
            await self.say(self.fault.greeting)
            raise HangUp
        await self.say(f"* OK [CAPABILITY {self._capabilities()}] sandbox ready")
        while True:
            tag, _, command = (await self.line()).partition(" ")
            verb, _, rest = command.partition(" ")
            await self._command(tag, verb.upper(), rest)

    def _capabilities(self) -> str:
        words = ["IMAP4rev1", "ID", "SASL-IR"]
        if self.encrypted:
            words += ["AUTH=PLAIN", "AUTH=XOAUTH2"]
        elif self.account.security is Security.STARTTLS:
            words += ["LOGINDISABLED"] + ([] if self.fault.no_starttls else ["STARTTLS"])
        return " ".join(words)

    async def _command(self, tag: str, verb: str, rest: str) -> None:
        if verb == "CAPABILITY":
            await self.say(f"* CAPABILITY {self._capabilities()}", f"{tag} OK done")
        elif verb == "STARTTLS" and not self.encrypted:
            await self.say(f"{tag} OK begin TLS")
            await self.start_tls()
        elif verb in ("AUTHENTICATE", "LOGIN") and self.encrypted:
            await self._login(tag, verb, rest)
        elif verb == "LOGOUT":
            await self.say("* BYE logging out", f"{tag} OK done")
            raise HangUp
        elif verb in ("ID", "NOOP"):
            await self.say(*(["* ID NIL"] if verb == "ID" else []), f"{tag} OK done")
        elif self.logged_in:
            await self._logged_in_command(tag, verb, rest)
        else:
            await self.say(f"{tag} BAD not now")

    async def _logged_in_command(self, tag: str, verb: str, rest: str) -> None:
        if verb in ("SELECT", "EXAMINE"):
            await self._select(tag, rest)
        elif verb == "LIST":
            names = [f'* LIST (\\HasNoChildren) "/" "{name}"' for name in self.account.folders]
            await self.say(*names, f"{tag} OK done")
        elif verb == "UID" and self.folder is not None and rest.upper().startswith("SEARCH"):
            await self.say(f"* SEARCH {self._found(rest)}".rstrip(), f"{tag} OK done")
        else:
            await self.say(f"{tag} BAD unknown command")

    async def _login(self, tag: str, verb: str, rest: str) -> None:
        if self.fault.connect == "close":
            raise HangUp
        mechanism, _, initial = rest.partition(" ")
        if verb == "LOGIN":
            username, password = _words(rest)
            self.account.seen["imap logins"] += 1
            fits = self.account.accepts(username, password)
        elif mechanism.upper() == "XOAUTH2":
            fits = self.token_fits(initial or await self._asked())
            if self.fault.challenge or not fits:
                await self.say(f"+ {self.challenge()}")
                await self.line()
        else:
            fits = self.password_fits(initial or await self._asked())
        self.logged_in = fits and not self.fault.auth
        refusal = self.fault.auth.format(tag=tag) or f"{tag} NO [AUTHENTICATIONFAILED] Authentication failed."
        await self.say(f"{tag} OK logged in" if self.logged_in else refusal)

    async def _asked(self) -> str:
        await self.say("+ ")
        return await self.line()

    async def _select(self, tag: str, rest: str) -> None:
        name, *_ = _words(rest)
        if self.fault.select:
            await self.say(self.fault.select.format(tag=tag))
        elif name not in self.account.folders:
            await self.say(f"{tag} NO [NONEXISTENT] Mailbox doesn't exist: {name}")
        else:
            self.folder = name
            count = len(self._messages())
            await self.say(
                f"* {count} EXISTS", "* 0 RECENT", "* OK [UIDVALIDITY 1] valid", f"{tag} OK [READ-WRITE] done"
            )

    def _messages(self) -> list[Message]:
        return self.account.folders[self.folder or "INBOX"]

    def _found(self, rest: str) -> str:
        """UIDs of all messages, or of those with the Message-ID asked for."""
        *_, wanted = _words(rest)
        hits = [m for m in self._messages() if wanted.upper() == "ALL" or m.message_id == wanted]
        return " ".join(str(message.uid) for message in hits)


def _words(text: str) -> list[str]:
    """Atoms and quoted strings, unquoted."""
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else atom for quoted, atom in _WORD.findall(text)]
