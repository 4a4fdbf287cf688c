"""The sandbox's SMTP submission server."""

from __future__ import annotations

import asyncio
import base64

from mailboxes.sandbox.account import Account
from mailboxes.sandbox.authority import Authority
from mailboxes.sandbox.post_office import PostOffice
from mailboxes.sandbox.session import HangUp, Session
from mailboxes.wire.values import Security


class SmtpSession(Session):
    """One SMTP connection. What it accepts goes to the post office, for the recipients of the envelope."""

    leg = "smtp"
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    parameters: frozenset[str] = frozenset()

    def __init__(
        self,
        account: Account,
        authority: Authority,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        post_office: PostOffice,
    ) -> None:
        super().__init__(account, authority, reader, writer)
        self.post_office = post_office

    async def talk(self) -> None:
        if self.fault.greeting:
            await self.say(self.fault.greeting)
            raise HangUp
        await self.say("220 sandbox.test ESMTP ready")
        while True:
            verb, _, rest = (await self.line()).partition(" ")
            await self._command(verb.upper(), rest)

    async def _command(self, verb: str, rest: str) -> None:
        if verb in ("EHLO", "HELO"):
            await self._ehlo()
        elif verb == "STARTTLS" and self._offers_starttls():
            await self.say("220 2.0.0 Ready to start TLS")
            await self.start_tls()
        elif verb == "AUTH" and self.encrypted:
            await self._auth(*rest.partition(" ")[::2])
        elif verb == "MAIL" and self.logged_in:
            await self._mail(rest)
        elif verb == "RCPT" and self.sender is not None:
            await self._rcpt(_path(rest))
        elif verb == "DATA" and self.recipients:
            await self._data()
        elif verb in ("RSET", "NOOP"):
            if verb == "RSET":
                self._reset()
            await self.say("250 2.0.0 Ok")
        elif verb == "QUIT":
            await self.say("221 2.0.0 Bye")
            raise HangUp
        else:
            await self.say("503 5.5.1 Bad sequence of commands")

    async def _ehlo(self) -> None:
        lines = ["250-sandbox.test", *(f"250-{word}" for word in self.account.smtp_offers)]
        if self._offers_starttls():
            lines.append("250-STARTTLS")
        if self.encrypted:
            lines.append("250-AUTH PLAIN LOGIN XOAUTH2")
        await self.say(*lines, "250 ENHANCEDSTATUSCODES")

    def _offers_starttls(self) -> bool:
        return self.account.security is Security.STARTTLS and not self.encrypted and not self.fault.no_starttls

    async def _auth(self, mechanism: str, initial: str) -> None:
        if self.fault.connect == "close":
            raise HangUp
        if mechanism.upper() == "XOAUTH2":
            fits = self.token_fits(initial)
            if self.fault.challenge or not fits:
                await self.say(f"334 {self.challenge()}")
                await self.line()
        else:
            fits = self.password_fits(initial or await self._asked(mechanism.upper()))
        self.logged_in = fits and not self.fault.auth
        refusal = self.fault.auth or "535 5.7.8 Error: authentication failed"
        await self.say("235 2.7.0 Authentication successful" if self.logged_in else refusal)

    async def _asked(self, mechanism: str) -> str:
        if mechanism == "PLAIN":
            await self.say("334 ")
            return await self.line()
        await self.say("334 VXNlcm5hbWU6")
        username = base64.b64decode(await self.line()).decode()
        await self.say("334 UGFzc3dvcmQ6")
        password = base64.b64decode(await self.line()).decode()
        return base64.b64encode(f"\0{username}\0{password}".encode()).decode()

    async def _mail(self, rest: str) -> None:
        refusal = self.fault.mail.format(address=self.account.address) or self._refused(rest)
        self._reset()
        self.sender = None if refusal else _path(rest)
        self.parameters = frozenset(rest.partition(">")[2].upper().split())
        await self.say(refusal or "250 2.1.0 Ok")

    def _refused(self, rest: str) -> str:
        """The reply to a parameter of MAIL that was not offered, or to an address that needs one (RFC 5321 4.1.11)."""
        offered = {word.partition(" ")[0] for word in self.account.smtp_offers}
        for word in rest.partition(">")[2].upper().split():
            if {"BODY=8BITMIME": "8BITMIME"}.get(word, word.partition("=")[0]) not in offered:
                return f"555 5.5.4 Unsupported option: {word}"
        return "" if rest.isascii() or "SMTPUTF8" in rest.upper().split() else "553 5.6.7 Address is not ASCII"

    async def _rcpt(self, recipient: str) -> None:
        refusals = {address.lower(): reply for address, reply in self.account.refuses.items()}
        refusal = refusals.get(recipient.lower(), "")
        if not recipient.isascii() and "SMTPUTF8" not in self.parameters:
            refusal = "553 5.6.7 Address is not ASCII"
        if not refusal:
            self.recipients = (*self.recipients, recipient)
        await self.say(refusal or "250 2.1.5 Ok")

    async def _data(self) -> None:
        await self.say("354 End data with <CR><LF>.<CR><LF>")
        raw = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3]
        raw = (b"\r\n" + raw).replace(b"\r\n..", b"\r\n.")[2:]
        if self.fault.data:
            await self.say(self.fault.data)
        elif not raw.isascii() and "BODY=8BITMIME" not in self.parameters:
            await self.say("554 5.6.1 Eight-bit data without BODY=8BITMIME")
        else:
            await self._accept(raw)
        self._reset()

    async def _accept(self, raw: bytes) -> None:
        """Take the message and say so, unless the account hangs up this once."""
        hangs_up, self.account.hang_up = self.account.hang_up, ""
        if hangs_up != "before-accept":
            self.post_office.post(self.account, self.sender or "", self.recipients, raw)
        if hangs_up:
            raise HangUp
        await self.say("250 2.0.0 Ok: queued")

    def _reset(self) -> None:
        self.sender, self.recipients, self.parameters = None, (), frozenset()


def _path(rest: str) -> str:
    """The address between the angle brackets; "" for the null sender."""
    return rest.partition("<")[2].partition(">")[0]
